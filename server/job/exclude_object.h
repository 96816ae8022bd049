/* [exclude_object]: what other objects may ask of it; all of them may be called for a printer without the section.
 * Machine thread. */
#ifndef SERVER_JOB_EXCLUDE_OBJECT_H
#define SERVER_JOB_EXCLUDE_OBJECT_H

struct printer;

/* The toolhead was held behind the reader: moves from now on are not those of the file and pass unchanged. */
void exclude_object_suspend(struct printer *printer);
/* The reader goes on where it was. */
void exclude_object_resume(struct printer *printer);
/* The tail was dropped: the toolhead's place is the file's place again. */
void exclude_object_forget(struct printer *printer);

#endif
