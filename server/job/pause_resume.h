/* [pause_resume]: what other objects may ask of it. Machine thread. */
#ifndef SERVER_JOB_PAUSE_RESUME_H
#define SERVER_JOB_PAUSE_RESUME_H

#include <stdbool.h>

struct printer;

/* All of them answer for a printer without the section too. */
bool pause_resume_is_paused(struct printer *printer);
double pause_resume_recover_velocity(struct printer *printer); /* [mm/s] for the way back */
/* Stop the file, or ask the host that streams to stop ("action:paused"); without touching is_paused. What PAUSE does
 * first; nothing happens the second time. */
void pause_resume_send_pause(struct printer *printer);
/* Pause as the built-in PAUSE does, unless it is paused already: for a PAUSE macro that failed half-way. */
void pause_resume_force(struct printer *printer);

#endif
