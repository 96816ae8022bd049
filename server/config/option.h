/* What one configuration option is: the rows of which every object's option table consists. The typed getters of
 * config.h take type, default, limits and choices from here; `lockstep check`, HELP and the reference pages too. */
#ifndef SERVER_CONFIG_OPTION_H
#define SERVER_CONFIG_OPTION_H

enum option_type {
    OPTION_STRING,
    OPTION_INT,
    OPTION_FLOAT,
    OPTION_BOOL,       /* 1/0, yes/no, true/false, on/off in any case */
    OPTION_CHOICE,     /* one of `choices` */
    OPTION_PIN,        /* [!~^ modifiers][board:]name */
    OPTION_LIST,       /* texts separated by ',' */
    OPTION_FLOAT_LIST, /* numbers separated by ',' */
    OPTION_INT_LIST,
    OPTION_TABLE,      /* lists of lists of texts, see `separators` */
    OPTION_FLOAT_TABLE, /* lists of lists of numbers */
    OPTION_TEMPLATE    /* G-code, the macro language later */
};

enum option_flags {
    OPTION_REQUIRED = 1,     /* an error if absent */
    OPTION_CONDITIONAL = 2   /* required in cases that the object knows (section_*_required); `when` says them */
};

struct option_desc {
    const char *name;         /* as documented; a '*' in it stands for any text ("variable_*"), "<n>" for a number */
    enum option_type type;
    unsigned flags;
    const char *unit;         /* "mm", "mm/s", "s", "C", ...; NULL: none */
    const char *default_text; /* as it would stand in a file, or the name of another option of the section, or words for a
                               * default that the object computes; NULL: none (the option may be absent) */
    const char *limits;       /* of numbers, "OP VALUE" pairs separated by blanks: ">=0 <=1", ">min_temp": the value may
                               * be the name of an option of the section that has been read before */
    const char *choices;      /* OPTION_CHOICE: "a|b|c" */
    const char *separators;   /* OPTION_TABLE: outer then inner, ",:"; '\n' is a line. Lists: one, default ',' */
    int count;                /* lists: number of items; tables: of each row; 0: any */
    const char *when;         /* in words, when the option applies; NULL: always */
    const char *help;         /* one sentence */
};

#endif
