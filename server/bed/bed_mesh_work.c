/* What takes long with a large mesh is done by the worker: interpolating it, and writing it down for status. */
#include "server/bed/bed_mesh.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/worker.h"
#include "server/machine/printer.h"

#include <string.h>

/* --- interpolating --- */

struct making {
    struct worker_job job; /* first */
    struct mesh_params params;
    double *measured_mm;
    struct mesh *mesh; /* out */
};

static enum err make(struct worker_job *job, struct err_info *info)
{
    struct making *m = CONTAINER_OF(job, struct making, job);
    (void)info;
    m->mesh = mesh_create(&m->params, m->measured_mm);
    return OK;
}

static void release_making(struct worker_job *job)
{
    struct making *m = CONTAINER_OF(job, struct making, job);
    mesh_destroy(m->mesh);
    mem_free(m->measured_mm);
}

enum err bed_mesh_make(struct bed_mesh *bm, const struct mesh_params *params, const double *measured_mm,
                       struct mesh **mesh, struct err_info *info)
{
    const size_t count = (size_t)params->count[0] * params->count[1];
    struct making *m = MEM_NEW(struct making);
    m->job.run = make;
    m->job.release = release_making;
    m->params = *params;
    m->measured_mm = MEM_ARRAY(double, count);
    memcpy(m->measured_mm, measured_mm, count * sizeof *measured_mm);
    enum err err = worker_call(&bm->obj.printer->disk, &m->job, info);
    if (err == OK) {
        *mesh = m->mesh;
        m->mesh = NULL;
    }
    worker_release(&m->job);
    return err;
}

/* --- writing down --- */

struct writing {
    struct worker_job job; /* first */
    struct mesh *mesh;
    struct bed_mesh_texts texts; /* out */
};

static char *rows(const double *values, const unsigned size[2])
{
    struct strbuf json;
    strbuf_init(&json);
    bed_mesh_rows_json(&json, values, size[0], size[1]);
    return strbuf_take(&json);
}

static enum err write_down(struct worker_job *job, struct err_info *info)
{
    struct writing *w = CONTAINER_OF(job, struct writing, job);
    (void)info;
    w->texts = (struct bed_mesh_texts){.probed = rows(w->mesh->measured_mm, w->mesh->params.count),
                                       .nodes = rows(w->mesh->node_mm, w->mesh->nodes)};
    return OK;
}

void bed_mesh_free_texts(struct bed_mesh_texts *texts)
{
    mem_free(texts->probed);
    mem_free(texts->nodes);
    *texts = (struct bed_mesh_texts){0};
}

static void release_writing(struct worker_job *job)
{
    struct writing *w = CONTAINER_OF(job, struct writing, job);
    mesh_destroy(w->mesh);
    bed_mesh_free_texts(&w->texts);
}

enum err bed_mesh_write_down(struct bed_mesh *bm, struct mesh **mesh, struct bed_mesh_texts *texts,
                             struct err_info *info)
{
    struct writing *w = MEM_NEW(struct writing);
    w->job.run = write_down;
    w->job.release = release_writing;
    w->mesh = *mesh;
    *mesh = NULL; /* the worker's until it is done, also when this fiber is cancelled */
    enum err err = worker_call(&bm->obj.printer->disk, &w->job, info);
    if (err == OK) {
        *mesh = w->mesh;
        *texts = w->texts;
        w->mesh = NULL;
        w->texts = (struct bed_mesh_texts){0};
    }
    worker_release(&w->job);
    return err;
}
