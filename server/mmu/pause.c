/* Pausing, unlocking and resuming a job: what the transitions do to the printer. */
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/heat/heater.h"
#include "server/job/pause_resume.h"
#include "server/job/print_stats.h"
#include "server/machine/printer.h"
#include "server/mmu/private.h"
#include "server/toolhead/toolhead.h"

#include <string.h>

#define RESTORE_VELOCITY_MM_S 200.0 /* speed of the way back to the remembered position */
#define ALL_AXES              7u

static enum err run(struct mmu *m, const char *script, struct err_info *info)
{
    return gcode_run_script(m->obj.printer->gcode, script, strlen(script), info);
}

/* --- position and temperatures --- */

static void remember_heater(struct mmu *m, size_t index, const char *name)
{
    struct heater *heater = *name ? heater_find(m->obj.printer, name) : NULL;
    double temp_c, target_c = 0;
    if (heater)
        heater_get_temp(heater, &temp_c, &target_c);
    m->heaters[index].heater = target_c > 0 ? heater : NULL;
    m->heaters[index].target_c = target_c;
}

void mmu_remember(struct mmu *m)
{
    struct printer *printer = m->obj.printer;
    if (m->has_position)
        return;
    gcode_move_save_state(printer_gcode_move(printer), MMU_POSITION_NAME);
    remember_heater(m, 0, toolhead_extruder(printer_toolhead(printer)));
    remember_heater(m, 1, "heater_bed");
    m->has_position = true;
}

void mmu_forget(struct mmu *m)
{
    m->has_position = false;
    for (size_t i = 0; i < MMU_HEATERS_COUNT; i++)
        m->heaters[i].heater = NULL;
}

/* Heaters that have been switched off or down meanwhile go back to where they were; all of them at once, then waiting.
 */
static enum err reheat(struct mmu *m, struct err_info *info)
{
    bool is_wanted[MMU_HEATERS_COUNT] = {false};
    enum err err = OK;
    for (size_t i = 0; i < MMU_HEATERS_COUNT && !err; i++) {
        double temp_c, target_c;
        if (!m->heaters[i].heater)
            continue;
        heater_get_temp(m->heaters[i].heater, &temp_c, &target_c);
        is_wanted[i] = target_c < m->heaters[i].target_c;
        if (!is_wanted[i])
            continue;
        gcode_respond_info(m->obj.printer->gcode, "Heating %s to %.0f C again", heater_name(m->heaters[i].heater),
                           m->heaters[i].target_c);
        err = heater_set_target(m->heaters[i].heater, m->heaters[i].target_c, info);
    }
    for (size_t i = 0; i < MMU_HEATERS_COUNT && !err; i++) {
        if (is_wanted[i])
            err = heater_set_and_wait(m->heaters[i].heater, m->heaters[i].target_c, true, info);
    }
    return err;
}

static enum err go_back(struct mmu *m, struct err_info *info)
{
    struct printer *printer = m->obj.printer;
    if (!m->has_position)
        return OK;
    if ((toolhead_homed_axes(printer_toolhead(printer)) & ALL_AXES) != ALL_AXES) {
        gcode_respond_info(printer->gcode, "The printer is not homed: the toolhead stays where it is");
        return OK;
    }
    return gcode_move_restore_state(printer_gcode_move(printer), MMU_POSITION_NAME, true, RESTORE_VELOCITY_MM_S, info);
}

/* --- beginning --- */

void mmu_begin_print(struct mmu *m)
{
    if (mmu_state_is_in_print(m->job.state))
        return;
    mmu_raise(m, MMU_EVENT_JOB_SEEN, false, NULL);
    mmu_raise(m, MMU_EVENT_PRINT_START, false, NULL);
}

void mmu_fix_started(struct mmu *m)
{
    if (print_stats_state(print_stats_of(m->obj.printer)) == PRINT_PRINTING)
        mmu_begin_print(m);
}

/* --- pausing --- */

/* The reason as an error, so that nobody misses it. */
static void explain_pause(struct mmu *m, const char *message)
{
    char *text = mem_sprintf("MMU: the job is paused: %s", message);
    gcode_respond_error(m->obj.printer->gcode, text);
    mem_free(text);
    gcode_respond_info(m->obj.printer->gcode, "%s", mmu_state_next_step(MMU_STATE_PAUSE_LOCKED));
}

enum err mmu_do_pause(struct mmu *m, const char *message, bool is_forced, struct err_info *info)
{
    struct printer *printer = m->obj.printer;
    mmu_fix_started(m);
    const struct mmu_transition *row = mmu_raise(m, MMU_EVENT_PAUSE, is_forced, message);
    if (!row) {
        mmu_raise(m, MMU_EVENT_ACTIVITY, false, NULL); /* a command of the unit it is all the same */
        gcode_respond_info(printer->gcode,
                           "MMU: %s\nNo print is in progress: nothing was paused (FORCE_IN_PRINT=1 does it)", message);
        return OK;
    }
    if (row->action == MMU_ACTION_NOTE) {
        gcode_respond_error(printer->gcode, message);
        return OK;
    }
    mmu_remember(m);
    explain_pause(m, message);
    if (pause_resume_is_paused(printer))
        return OK;
    enum err err = run(m, m->pause_macro, info);
    pause_resume_send_pause(printer); /* whatever the macro did: the file stops */
    pause_resume_force(printer);
    if (err == ERR_CANCELLED || printer_is_shutdown(printer))
        return err;
    if (err) /* the job is paused nevertheless: a macro that cannot park must not end the print */
        gcode_respond_error(printer->gcode, info->text);
    return OK;
}

enum err mmu_do_unlock(struct mmu *m, struct err_info *info)
{
    if (!mmu_raise(m, MMU_EVENT_UNLOCK, false, NULL)) {
        gcode_respond_info(m->obj.printer->gcode, "The job is not locked");
        return OK;
    }
    return reheat(m, info);
}

/* --- resuming --- */

static enum err resume_steps(struct mmu *m, const char *params, struct err_info *info)
{
    enum err err = m->job.state == MMU_STATE_PAUSE_LOCKED ? mmu_do_unlock(m, info) : reheat(m, info);
    if (err)
        return err;
    pause_resume_force(m->obj.printer); /* CLEAR_PAUSE has made it forget: a locked job is resumed nevertheless */
    char *script = mem_sprintf("__RESUME %s", params);
    err = run(m, script, info);
    mem_free(script);
    if (!err && pause_resume_is_paused(m->obj.printer))
        err = err_set(info, ERR_STATE, "RESUME did not end the pause");
    /* The user's macro has run. The file goes on only when this command has ended, so this is where it will begin. */
    if (!err)
        err = go_back(m, info);
    if (!err) {
        mmu_forget(m);
        mmu_raise(m, MMU_EVENT_RESUMED, false, NULL);
    }
    return err;
}

enum err mmu_do_resume(struct mmu *m, const char *params, struct err_info *info)
{
    struct printer *printer = m->obj.printer;
    if (!pause_resume_is_paused(printer) && !mmu_state_is_paused(m->job.state)) {
        gcode_respond_info(printer->gcode, "Print is not paused, resume aborted");
        return OK;
    }
    enum err err = resume_steps(m, params, info);
    if (!err || err == ERR_CANCELLED || printer_is_shutdown(printer))
        return err;
    /* Stay paused, and a pause that was the user's own becomes locked: something is wrong. */
    pause_resume_send_pause(printer);
    pause_resume_force(printer);
    if (m->job.state == MMU_STATE_PRINTING) {
        mmu_remember(m);
        mmu_raise(m, MMU_EVENT_PAUSE, false, info->text);
    }
    return err;
}
