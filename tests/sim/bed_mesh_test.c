/* Bed meshes on a simulated bed whose shape is known: what is measured is that shape, by the probe and by hand, on
 * rectangles and circles, round faulty regions, adapted to the objects of a print. */
#include "tests/sim/probe_rig.h"

#include "base/mem.h"
#include "server/machine/printer.h"

#define MACHINE PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "[exclude_object]\n"
#define MESH    "[bed_mesh]\nspeed: 200\nprobe_count: 5, 4\nalgorithm: bicubic\nmesh_min: 30, 20\nmesh_max: 150, 155\n"

struct grid {
    double min[2], max[2], z[400];
    size_t count;
};

static void read_grid(struct rig *rig, struct grid *g)
{
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "mesh_min"), g->min, 2), 2);
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "mesh_max"), g->max, 2), 2);
    g->count = numbers(rig_status(rig, "bed_mesh", "probed_matrix"), g->z, 400);
}

static double place(const struct grid *g, int axis, size_t index, size_t count)
{
    return g->min[axis] + (g->max[axis] - g->min[axis]) * (double)index / (double)(count - 1);
}

/* Each probed height is that of the bed at its place, less `zero_mm`. */
static void expect_bowl(struct rig *rig, size_t nx, size_t ny, double zero_mm)
{
    struct grid g;
    read_grid(rig, &g);
    assert_int_equal(g.count, nx * ny);
    for (size_t y = 0; y < ny; y++)
        for (size_t x = 0; x < nx; x++)
            expect_close(g.z[y * nx + x], bowl_mm(NULL, place(&g, 0, x, nx), place(&g, 1, y, ny)) - zero_mm,
                         PROBE_ERROR_MM);
}

static void test_rectangle(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH);
    script(rig, "G28\nBED_MESH_CALIBRATE");
    expect_bowl(rig, 5, 4, 0);
    expect_status(rig, "bed_mesh", "mesh_min", "[30.0, 20.0]");
    expect_status(rig, "bed_mesh", "mesh_max", "[150.0, 155.0]");
    struct grid g;
    double nodes[400];
    read_grid(rig, &g);
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "mesh_matrix"), nodes, 400), 13 * 10);
    for (size_t i = 0; i < 5; i++)
        expect_close(nodes[3 * i], g.z[i], 1e-9); /* measured points are nodes */
    const char *profiles = rig_status(rig, "bed_mesh", "profiles");
    assert_non_null(strstr(profiles, "{\"default\": {\"points\": [["));
    assert_non_null(strstr(profiles, "\"mesh_params\": {\"min_x\": 30, \"max_x\": 150, \"min_y\": 20, \"max_y\": 155, "
                                     "\"x_count\": 5, \"y_count\": 4, \"mesh_x_pps\": 2, \"mesh_y_pps\": 2, \"algo\": "
                                     "\"bicubic\", \"tension\": 0.2"));
    script(rig, "G1 X77 Y61 Z0.2 F9000");
    expect_close(clearance(rig), 0.2, 0.012);
    script(rig, "BED_MESH_CLEAR\nG1 X77 Y61 Z0.2");
    expect_close(clearance(rig), 0.2 - bowl_mm(NULL, 77, 61), 0.003);
    rig_destroy(rig);
}

static void test_parameters(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH "zero_reference_position: 90, 80\n");
    script(rig, "G28\nBED_MESH_CALIBRATE MESH_MIN=40,40 MESH_MAX=100,80 PROBE_COUNT=4,3 MESH_PPS=1,0 ALGORITHM=lagrange "
                "PROFILE=small HORIZONTAL_MOVE_Z=3 SAMPLES=2");
    struct grid g;
    double nodes[400];
    read_grid(rig, &g);
    expect_status(rig, "bed_mesh", "mesh_max", "[100.0, 80.0]");
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "mesh_matrix"), nodes, 400), 7 * 3);
    expect_bowl(rig, 4, 3, bowl_mm(NULL, 90, 80));
    expect_status(rig, "bed_mesh", "profile_name", "\"small\"");
    refuse(rig, "BED_MESH_CALIBRATE METHOD=scan", "METHOD=scan needs an eddy current probe");
    refuse(rig, "BED_MESH_CALIBRATE METHOD=rapid_scan", "METHOD=rapid_scan needs an eddy current probe");
    refuse(rig, "BED_MESH_CALIBRATE METHOD=guess", "METHOD must be automatic or manual, not 'guess'");
    refuse(rig, "BED_MESH_CALIBRATE MESH_MIN=40,40 MESH_MAX=30,80", "bed_mesh: invalid min/max points");
    refuse(rig, "BED_MESH_CALIBRATE MESH_MIN=40,40 MESH_MAX=42,80 PROBE_COUNT=4", "too close together");
    refuse(rig, "BED_MESH_CALIBRATE PROBE_COUNT=7,3", "bed_mesh:");
    refuse(rig, "BED_MESH_CALIBRATE PROFILE=", "Value for parameter 'PROFILE' must be specified");
    refuse(rig, "BED_MESH_CALIBRATE MESH_MAX=500,80", "Move out of range");
    rig_run(rig, 1.0);
    expect_status(rig, "bed_mesh", "profile_name", "\"\""); /* gone since the calibration began */
    rig_destroy(rig);
}

/* What stands in the region is not the bed. */
static double bump_mm(void *ctx, double x, double y)
{
    bool is_in = x > 80 && x < 104 && y > 50 && y < 80;
    return bowl_mm(ctx, x, y) + (is_in ? 1.0 : 0.0);
}

static void test_faulty_regions(void **state)
{
    (void)state;
    static const char regions[] = "faulty_region_1_min: 80, 50\nfaulty_region_1_max: 104, 80\n"
                                  "faulty_region_7_min: 10, 10\nfaulty_region_7_max: 40, 30\n";
    char config[8192];
    (void)snprintf(config, sizeof config, "%s%s", MACHINE MESH, regions);
    struct rig *rig = job_rig_start(config);
    plant_set_bed_shape(rig_plant(rig), bump_mm, NULL);
    script(rig, "G28\nBED_MESH_OUTPUT PGP=1");
    /* the corner 30, 20 has two edges on the mesh; 90, 65 has all four */
    assert_non_null(strstr(rig_console(rig), "// 0     | (10.0, 40.0)    | (30.0, 30.0)\n"));
    assert_non_null(strstr(rig_console(rig), "// 1     | (20.0, 30.0)    | (40.0, 20.0)\n"));
    script(rig, "BED_MESH_CALIBRATE");
    struct grid g;
    read_grid(rig, &g);
    expect_close(g.z[0], (bowl_mm(NULL, 30, 30) + bowl_mm(NULL, 40, 20)) / 2, PROBE_ERROR_MM);
    expect_close(g.z[1 * 5 + 2],
                 (bowl_mm(NULL, 80, 65) + bowl_mm(NULL, 104, 65) + bowl_mm(NULL, 90, 50) + bowl_mm(NULL, 90, 80)) / 4,
                 PROBE_ERROR_MM);
    expect_close(g.z[1 * 5 + 1], bowl_mm(NULL, 60, 65), PROBE_ERROR_MM);
    rig_destroy(rig);
}

static void test_zero_reference_outside(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH "zero_reference_position: 170, 20\n"
                                              "faulty_region_1_min: 160, 100\nfaulty_region_1_max: 199, 120\n");
    script(rig, "G28\nBED_MESH_CALIBRATE");
    expect_bowl(rig, 5, 4, bowl_mm(NULL, 170, 20));
    rig_destroy(rig);
}

static void test_adaptive(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH "adaptive_margin: 2\n");
    script(rig, "G28\nBED_MESH_CALIBRATE ADAPTIVE=1 PROFILE=whole");
    assert_non_null(strstr(rig_console(rig), "no objects of a print are defined"));
    expect_status(rig, "bed_mesh", "profile_name", "\"whole\"");
    expect_bowl(rig, 5, 4, 0);
    script(rig, "EXCLUDE_OBJECT_DEFINE NAME=a CENTER=50,40 POLYGON=[[42,32],[58,32],[58,50],[42,50]]\n"
                "EXCLUDE_OBJECT_DEFINE NAME=b CENTER=80,75 POLYGON=[[76,70],[88,72.5],[80,80]]\n"
                "BED_MESH_CALIBRATE ADAPTIVE=1");
    /* 40..90 of 120 mm: 5 x 0.417 -> 3; 30..82 of 135 mm: 4 x 0.385 -> 3 (the least) */
    expect_status(rig, "bed_mesh", "profile_name", "\"adaptive-1\"");
    expect_status(rig, "bed_mesh", "mesh_min", "[40.0, 30.0]");
    expect_status(rig, "bed_mesh", "mesh_max", "[90.0, 82.0]");
    expect_bowl(rig, 3, 3, 0);
    assert_null(strstr(rig_status(rig, "bed_mesh", "profiles"), "adaptive"));
    assert_null(strstr(rig_status(rig, "configfile", "save_config_pending_items"), "adaptive"));
    script(rig, "BED_MESH_CALIBRATE ADAPTIVE=1 ADAPTIVE_MARGIN=20"); /* not beyond the mesh */
    expect_status(rig, "bed_mesh", "mesh_min", "[30.0, 20.0]");
    expect_status(rig, "bed_mesh", "mesh_max", "[108.0, 100.0]");
    expect_bowl(rig, 4, 3, 0);
    script(rig, "EXCLUDE_OBJECT_DEFINE RESET=1\nEXCLUDE_OBJECT_DEFINE NAME=dot POLYGON=[[149,154],[150,154],[150,155]]\n"
                "BED_MESH_CALIBRATE ADAPTIVE=1 ADAPTIVE_MARGIN=0"); /* no closer than 1 mm */
    expect_bowl(rig, 3, 3, 0);
    script(rig, "EXCLUDE_OBJECT_DEFINE RESET=1\nEXCLUDE_OBJECT_DEFINE NAME=far POLYGON=[[160,10],[170,10],[170,15]]\n"
                "BED_MESH_CALIBRATE ADAPTIVE=1 ADAPTIVE_MARGIN=0");
    assert_non_null(strstr(rig_console(rig), "the objects of the print do not stand on the mesh"));
    expect_bowl(rig, 5, 4, 0);
    rig_destroy(rig);
}

static void test_round(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE "[bed_mesh]\nspeed: 200\nmesh_radius: 60.07\nmesh_origin: 90, 85\n"
                                         "round_probe_count: 5\n");
    script(rig, "G28\nBED_MESH_CALIBRATE");
    struct grid g;
    read_grid(rig, &g);
    assert_int_equal(g.count, 25);
    expect_status(rig, "bed_mesh", "mesh_min", "[30.0, 25.0]");
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 5; x++) {
            int inner = x; /* the first one of this row that is in the circle */
            while (hypot(30 * (inner - 2), 30 * (y - 2)) > 60)
                inner += inner < 2 ? 1 : -1;
            expect_close(g.z[y * 5 + x], bowl_mm(NULL, 30 + 30 * inner, 25 + 30 * y), PROBE_ERROR_MM);
        }
    script(rig, "BED_MESH_CALIBRATE MESH_RADIUS=40 MESH_ORIGIN=80,80 ROUND_PROBE_COUNT=3");
    expect_status(rig, "bed_mesh", "mesh_max", "[120.0, 120.0]");
    refuse(rig, "BED_MESH_CALIBRATE ROUND_PROBE_COUNT=4", "probe_count must be odd for round beds");
    script(rig, "EXCLUDE_OBJECT_DEFINE NAME=a POLYGON=[[90,80],[100,80],[100,90],[90,90]]\n"
                "BED_MESH_CALIBRATE ADAPTIVE=1 ADAPTIVE_MARGIN=5");
    read_grid(rig, &g); /* round the square's middle, half its diagonal and the margin: 12.1, three points across */
    expect_close((g.min[0] + g.max[0]) / 2, 95, 1e-9);
    expect_close((g.min[1] + g.max[1]) / 2, 85, 1e-9);
    expect_close(g.max[0] - 95, 12.1, 0.05);
    assert_int_equal(g.count, 9);
    expect_close(g.z[4], bowl_mm(NULL, 95, 85), PROBE_ERROR_MM);
    rig_destroy(rig);
}

/* Paper at nine places: the heights said are the mesh. */
static void test_by_hand(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH
                                 "[bed_mesh]\nspeed: 200\nmesh_min: 30, 20\nmesh_max: 150, 150\n");
    script(rig, "G28\nBED_MESH_CALIBRATE");
    refuse(rig, "BED_MESH_CALIBRATE", "Already in a manual Z probe. Use ABORT to abort it.");
    for (int i = 0; i < 9; i++) {
        char text[64];
        int x = i / 3 % 2 ? 2 - i % 3 : i % 3;
        double xyz[3], z = bowl_mm(NULL, 30 + 60 * x, 20 + 65 * (i / 3));
        assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
        expect_close(xyz[0], 30 + 60 * x, 0.06); /* the nozzle, not a probe */
        expect_close(xyz[1], 20 + 65 * (i / 3), 0.06);
        (void)snprintf(text, sizeof text, "TESTZ Z=%.4f\n%s", z - 5, i % 2 ? "NEXT" : "ACCEPT");
        script(rig, text);
        rig_run(rig, 0.5);
        expect_status(rig, "manual_probe", "is_active", i < 8 ? "true" : "false");
    }
    assert_non_null(strstr(rig_console(rig), "Mesh Bed Leveling Complete"));
    expect_bowl(rig, 3, 3, 0);
    script(rig, "BED_MESH_CALIBRATE METHOD=manual\nTESTZ Z=-1\nACCEPT\nABORT");
    rig_run(rig, 1.0);
    expect_status(rig, "bed_mesh", "profile_name", "\"\"");
    expect_status(rig, "manual_probe", "is_active", "false");
    script(rig, "BED_MESH_CALIBRATE\nTESTZ Z=-1"); /* in the middle of it */
    rig_destroy(rig);
}

static bool is_starting(void *ctx)
{
    return printer_state(rig_printer(ctx)) == PRINTER_STARTUP;
}

static void test_saved(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH);
    script(rig, "G28\nBED_MESH_CALIBRATE\nBED_MESH_PROFILE SAVE=hot");
    char *before = mem_strdup(rig_status(rig, "bed_mesh", "mesh_matrix"));
    rig_begin_script(rig, "SAVE_CONFIG");
    assert_true(rig_run_until(rig, is_starting, rig, 20) && rig_wait_ready(rig));
    rig_run(rig, 1.0);
    expect_status(rig, "bed_mesh", "profile_name", "\"\"");
    const char *profiles = rig_status(rig, "bed_mesh", "profiles");
    assert_true(strstr(profiles, "\"default\": ") && strstr(profiles, "\"hot\": "));
    script(rig, "BED_MESH_PROFILE LOAD=hot");
    rig_run(rig, 1.0);
    double a[200], b[200];
    size_t count = numbers(before, a, 200);
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "mesh_matrix"), b, 200), count);
    for (size_t i = 0; i < count; i++)
        expect_close(b[i], a[i], 1e-5); /* six digits are written */
    mem_free(before);
    rig_destroy(rig);
}

static void test_fade(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH "fade_start: 1\nfade_end: 5\nfade_target: 0\n");
    script(rig, "G28\nBED_MESH_CALIBRATE\nG1 X30 Y155 F9000");
    double h = bowl_mm(NULL, 30, 155), xyz[3];
    const double z[] = {0.5, 1.0, 2.0, 3.0, 5.0, 7.0}, share[] = {1, 1, 0.75, 0.5, 0, 0};
    for (size_t i = 0; i < sizeof z / sizeof z[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "G1 Z%.1f\nM400", z[i]);
        script(rig, text);
        assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
        expect_close(xyz[2], z[i] + share[i] * h, 0.012);
    }
    rig_destroy(rig);
    rig = bowl_start(MACHINE MESH "fade_start: 1\nfade_end: 1.1\nfade_target: 0\n");
    refuse(rig, "G28\nBED_MESH_CALIBRATE", "bed_mesh: Mesh extends outside of the fade range");
    rig_destroy(rig);
    rig = bowl_start(MACHINE MESH "fade_end: 5\nfade_target: 3\n");
    refuse(rig, "G28\nBED_MESH_CALIBRATE", "bed_mesh: ERROR, fade_target lies outside of mesh z range");
    rig_destroy(rig);
}

/* A second tool that is 20 mm to the right of and 0.5 mm above the first: the mesh is looked up where its nozzle is. */
static void test_offset(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE MESH "fade_start: 1\nfade_end: 3\nfade_target: 0\n");
    double xyz[3];
    script(rig, "G28\nBED_MESH_OFFSET X=1");
    assert_non_null(strstr(rig_console(rig), "No mesh loaded to offset"));
    script(rig, "BED_MESH_CALIBRATE\nBED_MESH_OFFSET X=30 Y=45\nG1 X30 Y20 Z0.5 F6000\nM400");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_close(xyz[2], 0.5 + bowl_mm(NULL, 60, 65), 0.012);
    script(rig, "BED_MESH_OFFSET X=0 Y=0 ZFADE=0.5\nG1 X30 Y20 Z1.5\nM400"); /* as if at 2: half of it */
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_close(xyz[2], 1.5 + bowl_mm(NULL, 30, 20) / 2, 0.012);
    rig_destroy(rig);
}

static void expect_bad(const char *options, const char *error)
{
    char config[8192];
    (void)snprintf(config, sizeof config, "%s%s", MACHINE, options);
    struct rig_options rig_options = {.config_text = config, .seed = 1};
    struct rig *rig = rig_create(&rig_options);
    rig_run(rig, 1.0);
    if (printer_state(rig_printer(rig)) != PRINTER_ERROR || !strstr(printer_state_message(rig_printer(rig)), error))
        fail_msg("%s: %s", options, printer_state_message(rig_printer(rig)));
    rig_destroy(rig);
}

static void test_bad_options(void **state)
{
    (void)state;
    expect_bad(MESH "faulty_region_1_min: 1, 1\n", "faulty_region_1_max");
    expect_bad(MESH "faulty_region_1_min: 1, 1\nfaulty_region_1_max: 20, 20\n"
                    "faulty_region_2_min: 15, 15\nfaulty_region_2_max: 30, 30\n",
               "faulty_region_2 overlaps faulty_region_1");
    expect_bad(MESH "faulty_region_1_min: 0, 0\nfaulty_region_1_max: 199, 199\n", "faulty_region_1 leaves no place");
    expect_bad(MESH "zero_reference_position: 180, 30\nfaulty_region_1_min: 170, 20\nfaulty_region_1_max: 190, 40\n",
               "Cannot probe zero reference position at (180.00, 30.00)");
    expect_bad("[bed_mesh]\nmesh_min: 10, 10\nmesh_max: 10, 90\n", "bed_mesh: invalid min/max points");
    expect_bad("[bed_mesh]\nmesh_min: 10, 10\nmesh_max: 12, 90\nprobe_count: 5\n", "too close together");
    expect_bad("[bed_mesh]\nmesh_radius: 50\nround_probe_count: 4\n", "probe_count must be odd for round beds");
    expect_bad(MESH "faulty_region_min: 1, 1\n", "faulty_region_min");
#define STORED(points)                                                                                                 \
    MESH "[bed_mesh old]\nversion: 1\nmin_x: 10\nmax_x: 90\nmin_y: 10\nmax_y: 90\nx_count: 3\ny_count: 3\n"           \
         "mesh_x_pps: 2\nmesh_y_pps: 2\nalgo: lagrange\ntension: 0.2\npoints:\n" points
    /* a stored mesh with a hole is refused whole */
    expect_bad(STORED("  0.1, 0.2, 0.3\n  0.1, 0.2\n  0.1, 0.2, 0.3\n"),
               "The points are not the 3 lines of 3 numbers that y_count and x_count say");
    expect_bad(STORED("  0.1, 0.2, 0.3\n  0.1, 0.2, 0.3\n"), "The points are not the 3 lines of 3 numbers");
    expect_bad(STORED("  0.1, 0.2, 0.3\n  0.1, nan, 0.3\n  0.1, 0.2, 0.3\n"), "points");
    expect_bad(STORED("  0.1, 0.2, 0.3\n  0.1, , 0.3\n  0.1, 0.2, 0.3\n"), "points");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rectangle), cmocka_unit_test(test_parameters), cmocka_unit_test(test_faulty_regions),
        cmocka_unit_test(test_zero_reference_outside), cmocka_unit_test(test_adaptive), cmocka_unit_test(test_round),
        cmocka_unit_test(test_by_hand), cmocka_unit_test(test_saved), cmocka_unit_test(test_fade), cmocka_unit_test(test_offset),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
