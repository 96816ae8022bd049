/* The machine that renders: its stacks live on the heap, so nothing a template does deepens the C stack. Private to
 * this folder; value_*.c use run_alloc and the seeded random numbers. */
#ifndef SERVER_GCODE_TEMPLATE_VM_H
#define SERVER_GCODE_TEMPLATE_VM_H

#include "base/check.h"
#include "base/rng.h"
#include "server/gcode/template/code.h"

/* Variables bound in one scope, newest first. Scopes live until the end of the render: macros keep theirs. */
struct variable {
    struct variable *next;
    unsigned name;
    struct value value;
};
struct scope {
    struct scope *outer;
    struct variable *variables;
};

/* One loop that runs (or has run: `loop` may be kept in a variable). */
struct loop_state {
    struct loop_state *outer;
    struct jinja_run *run;
    struct value items;            /* LIST, TUPLE or RANGE; a list may grow meanwhile */
    const struct value_dict *dict; /* that it walks: it must not change its size; NULL: none */
    size_t dict_count;
    int64_t index;  /* of the present item; -1: before the first */
    unsigned depth; /* of recursion: 0, 1, ... */
    unsigned entry; /* of a recursive loop's code; 0: not recursive */
    bool has_loop_variable;
    struct scope *scope;  /* around the loop */
    struct value changed; /* of loop.changed() */
    bool has_changed;
};

struct frame {
    unsigned return_at;
    struct scope *scope;
    struct loop_state *loop;
    bool is_captured; /* the output since the call is its result; else it went where it goes */
    bool is_macro;    /* its result is Markup if the caller escapes */
};

struct jinja_run {
    const struct jinja *code;
    struct arena arena;
    struct jinja_limits limits;
    uint64_t steps;
    struct rng rng;
    struct err_info error;
    bool has_failed;
    struct jinja_run *outer; /* NULL: this render stands alone */
    unsigned depth;          /* of renders around it */
    unsigned at;             /* instruction being executed */
    bool is_escaping;        /* inside of {% autoescape true %} */

    struct value *stack;
    size_t stack_count, stack_capacity;
    struct frame frames[JINJA_CALL_DEPTH_MAX];
    unsigned frame_count;
    struct scope root, *scope;
    struct loop_state *loop;
    struct strbuf *outputs; /* [0] the render's, then those of captures */
    size_t output_count, output_capacity;
    struct value *gathers; /* lists that OP_LIST_NEW began */
    size_t gather_count, gather_capacity;
};

/* Memory of the render, zeroed. NULL when the budget is used up; the render has then failed. */
void *run_alloc(struct jinja_run *run, size_t size_bytes);
/* Is there budget for a text of this size? Else the render has failed. */
bool run_has_room(struct jinja_run *run, size_t size_bytes);
/* Charge `count` steps of work done natively; false: the budget is used up and the render has failed. */
bool run_charge(struct jinja_run *run, uint64_t count);

/* A macro as a value (vm_call.c). */
struct macro_closure {
    const struct macro_code *code;
    struct scope *scope; /* where it was defined */
};
struct value_function {
    const char *name;
    value_native_fn *fn; /* NULL: a macro */
    void *ctx;
    const struct value *self; /* of a method of a value; NULL: it is none */
    bool is_static;           /* a method of the value's type */
    const char *text;         /* what str() of it gives; NULL: by its name */
    struct macro_closure macro;
};
/* name, arguments, caller ... of a macro; fromkeys of dict. ERR_NOT_FOUND: there is none of that name. */
enum err function_attribute(struct jinja_run *run, const struct value_function *f, const char *name, size_t len_bytes,
                            struct value *out);

/* --- the stack of values; there is always room for what one instruction pushes --- */
#define STACK_ROOM 300
bool stack_reserve(struct jinja_run *run, size_t more); /* false: too many values, the render has failed */
static inline void stack_push(struct jinja_run *run, struct value v)
{
    run->stack[run->stack_count++] = v;
}
static inline struct value stack_pop(struct jinja_run *run)
{
    CHECK(run->stack_count > 0);
    return run->stack[--run->stack_count];
}

/* --- vm_step.c --- */
/* Run from instruction `at` until the template, or the literal, is over or the render has failed. */
void vm_run(struct jinja_run *run, unsigned at);

/* --- vm_loop.c --- */
enum err loop_begin(struct jinja_run *run, struct value iterable, unsigned flags);
/* The next item; false: the loop is over. */
bool loop_next(struct jinja_run *run, struct value *item);
extern const struct value_object_type loop_object_type;

/* --- vm_call.c --- */
/* Call `f` with the arguments: a native one gives *out at once, a macro or recursive loop pushes a frame (*is_native
 * false) and execution goes on in it; its text becomes the result. */
enum err vm_call(struct jinja_run *run, struct value f, const struct value_call *call, unsigned return_at,
                 bool *is_native, struct value *out, unsigned *entry);
void scope_bind(struct jinja_run *run, struct scope *scope, unsigned name, struct value v);
const struct value *scope_find(const struct scope *scope, unsigned name); /* in this scope only; NULL: not bound */
struct scope *scope_new(struct jinja_run *run, struct scope *outer);
bool output_begin(struct jinja_run *run);
struct value output_end(struct jinja_run *run);

#endif
