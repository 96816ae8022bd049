/* print_stats: which file is being printed, in which state, for how long. Machine thread. */
#ifndef SERVER_JOB_PRINT_STATS_H
#define SERVER_JOB_PRINT_STATS_H

struct printer;
struct print_stats;

enum print_state {
    PRINT_STANDBY,
    PRINT_PRINTING,
    PRINT_PAUSED,
    PRINT_COMPLETE,
    PRINT_CANCELLED,
    PRINT_ERROR,
};

/* Sent after each change of the state. data: struct print_stats_change. */
#define PRINT_STATS_EVENT "print_stats:state"
struct print_stats_change {
    enum print_state from, to;
    const char *filename;
    const char *message; /* of an error, else "" */
};

struct print_stats *print_stats_of(struct printer *printer); /* never NULL: every printer has it */
enum print_state print_stats_state(const struct print_stats *stats);
const char *print_stats_state_name(enum print_state state);
const char *print_stats_filename(const struct print_stats *stats); /* "" if none */

/* Forget the last print, which was of another file. NULL: no file. */
void print_stats_set_file(struct print_stats *stats, const char *filename);
void print_stats_start(struct print_stats *stats); /* begin, or go on */
void print_stats_pause(struct print_stats *stats);
/* The end. Nothing happens if no print is in progress. */
void print_stats_complete(struct print_stats *stats);
void print_stats_cancel(struct print_stats *stats);
void print_stats_error(struct print_stats *stats, const char *message);

#endif
