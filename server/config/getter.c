/* Typed getters: text -> value, within the limits of the option's descriptor. A bad value is reported and replaced by the
 * default (or a limit), so that whoever reads the section goes on and finds the next error. */
#include "server/config/private.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void section_bind(struct config_section *section, const struct option_desc *options, size_t count)
{
    for (size_t i = 0; i < section->table_count; i++)
        if (section->tables[i].options == options)
            return;
    CHECK(section->table_count < SECTION_TABLES_MAX);
    section->tables[section->table_count++] = (struct option_table){options, count};
}

bool option_matches(const char *pattern, const char *name)
{
    const char *star = strchr(pattern, '*'), *number = strstr(pattern, "<n>");
    if (star)
        return !strncasecmp(pattern, name, (size_t)(star - pattern)) && name[star - pattern];
    if (!number)
        return !strcasecmp(pattern, name);
    size_t len = (size_t)(number - pattern);
    if (strncasecmp(pattern, name, len))
        return false;
    size_t digits = strspn(name + len, "0123456789");
    return digits && !strcasecmp(name + len + digits, number + strlen("<n>"));
}

static const struct option_desc *find_desc(const struct config_section *section, const char *name)
{
    for (size_t t = 0; t < section->table_count; t++)
        for (size_t i = 0; i < section->tables[t].count; i++)
            if (option_matches(section->tables[t].options[i].name, name))
                return &section->tables[t].options[i];
    return NULL;
}

/* The descriptor of an option the code asks for: a missing one is our mistake. */
static const struct option_desc *need_desc(const struct config_section *section, const char *name)
{
    const struct option_desc *desc = find_desc(section, name);
    CHECK(desc);
    return desc;
}

static const char *take_text(struct config_section *section, const char *name)
{
    struct stored_option *option = section_stored(section, name);
    if (!option)
        return NULL;
    option->is_read = true;
    return option->pub.value;
}

bool section_has(const struct config_section *section, const char *name)
{
    struct stored_option *option = section_stored(section, name);
    if (option)
        option->is_read = true;
    return option != NULL;
}

static void report_missing(struct config_section *section, const char *name)
{
    config_error_option(section, name, "Option '%s' in section '%s' must be specified", name, section->name);
}

/* --- recording --- */

void section_record(struct config_section *section, const char *name, struct strbuf *json, const double *number)
{
    const char *lower = config_lower(section->config, name, strlen(name));
    struct read_value *read = strmap_get(&section->reads_by_name, lower);
    if (!read) {
        if (section->read_count == section->read_cap) {
            section->read_cap = section->read_cap ? section->read_cap * 2 : 16;
            section->reads = mem_realloc(section->reads, section->read_cap * sizeof *section->reads);
        }
        read = arena_alloc(&section->config->arena, sizeof *read);
        read->name = lower;
        section->reads[section->read_count++] = read;
        strmap_set(&section->reads_by_name, lower, read);
    }
    mem_free(read->json);
    read->json = strbuf_take(json);
    read->has_number = number != NULL;
    read->number = number ? *number : 0;
    section->is_settings_fresh = false;
}

static void record_float(struct config_section *section, const char *name, double value)
{
    struct strbuf json;
    strbuf_init(&json);
    strbuf_add_json_double(&json, value);
    section_record(section, name, &json, &value);
}

static void record_text(struct config_section *section, const char *name, const char *text)
{
    struct strbuf json;
    strbuf_init(&json);
    strbuf_add_json_string(&json, text, strlen(text));
    section_record(section, name, &json, NULL);
}

bool section_number_read(const struct config_section *section, const char *name, double *value)
{
    char key[CONFIG_KEY_MAX];
    const struct read_value *read = config_key(name, key) ? strmap_get(&section->reads_by_name, key) : NULL;
    if (!read || !read->has_number)
        return false;
    *value = read->number;
    return true;
}

/* --- limits --- */

struct bounds {
    double min, max, above, below; /* NAN: none */
};

/* A number in a descriptor: as written, or the name of an option read before. */
static bool resolve_number(const struct config_section *section, const char *text, double *value)
{
    return config_parse_float(text, value) || section_number_read(section, text, value);
}

static struct bounds bounds_of(const struct config_section *section, const struct option_desc *desc)
{
    struct bounds b = {NAN, NAN, NAN, NAN};
    const char *p = desc->limits;
    while (p && *p) {
        while (*p == ' ')
            p++;
        size_t op_len = strspn(p, "<>=");
        const char *operand = p + op_len;
        size_t len = strcspn(operand, " ");
        char text[64];
        double value;
        if (op_len && len < sizeof text) {
            memcpy(text, operand, len);
            text[len] = 0;
            if (resolve_number(section, text, &value)) {
                double *slot = p[0] == '>' ? (op_len == 2 ? &b.min : &b.above) : (op_len == 2 ? &b.max : &b.below);
                *slot = value;
            }
        }
        p = operand + len;
    }
    return b;
}

static void add_number(struct strbuf *text, double value, bool is_int)
{
    if (is_int && fabs(value) < 1e15 && floor(value) == value)
        strbuf_addf(text, "%.0f", value);
    else
        strbuf_add_json_double(text, value);
}

static void add_allowed(struct strbuf *text, const struct bounds *b, bool is_int)
{
    const char *join = "";
    strbuf_adds(text, "allowed: ");
    const struct {
        const char *op;
        double value;
    } parts[] = {{">=", b->min}, {">", b->above}, {"<=", b->max}, {"<", b->below}};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (isnan(parts[i].value))
            continue;
        strbuf_addf(text, "%s%s", join, parts[i].op);
        add_number(text, parts[i].value, is_int);
        join = " and ";
    }
}

/* Report the first limit that `value` breaks and return a value that keeps it. */
static bool check_bounds(struct config_section *section, const char *name, const struct bounds *b, double value,
                         bool is_int)
{
    const char *rule = NULL;
    double limit = 0;
    if (!isnan(b->min) && value < b->min)
        rule = "have minimum of", limit = b->min;
    else if (!isnan(b->max) && value > b->max)
        rule = "have maximum of", limit = b->max;
    else if (!isnan(b->above) && value <= b->above)
        rule = "be above", limit = b->above;
    else if (!isnan(b->below) && value >= b->below)
        rule = "be below", limit = b->below;
    if (!rule)
        return true;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_addf(&text, "Option '%s' in section '%s' must %s ", name, section->name, rule);
    add_number(&text, limit, is_int);
    strbuf_adds(&text, " (found: ");
    add_number(&text, value, is_int);
    strbuf_adds(&text, ", ");
    add_allowed(&text, b, is_int);
    strbuf_addc(&text, ')');
    config_error_option(section, name, "%s", text.data);
    strbuf_deinit(&text);
    return false;
}

/* Some value within the limits, for going on after an error. */
static double inside(const struct bounds *b)
{
    if (!isnan(b->min))
        return b->min;
    if (!isnan(b->above))
        return !isnan(b->max) ? b->max : b->above + 1;
    return !isnan(b->max) ? b->max : !isnan(b->below) ? b->below - 1 : 0;
}

static void report_unparsable(struct config_section *section, const char *name, const char *found, const char *expected)
{
    config_error_option(section, name, "Unable to parse option '%s' in section '%s' (found: '%.80s', expected: %s)", name,
                        section->name, found, expected);
}

/* --- numbers --- */

static double read_number(struct config_section *section, const char *name, const double *computed_default,
                          const struct bounds *extra, bool is_required)
{
    const struct option_desc *desc = need_desc(section, name);
    bool is_int = desc->type == OPTION_INT;
    CHECK(is_int || desc->type == OPTION_FLOAT);
    struct bounds b = bounds_of(section, desc);
    if (extra) {
        b.min = isnan(extra->min) ? b.min : extra->min;
        b.max = isnan(extra->max) ? b.max : extra->max;
    }
    const char *text = take_text(section, name);
    double value = 0, dflt = NAN;
    if (computed_default)
        dflt = *computed_default;
    else if (desc->default_text)
        (void)resolve_number(section, desc->default_text, &dflt);
    if (!text) {
        if (isnan(dflt)) {
            if (is_required || (desc->flags & OPTION_REQUIRED)) {
                report_missing(section, name);
                return inside(&b);
            }
            return computed_default ? NAN : 0;
        }
        value = dflt;
    } else {
        int whole = 0;
        bool is_parsed = is_int ? config_parse_int(text, &whole) : config_parse_float(text, &value);
        if (is_int)
            value = whole;
        if (!is_parsed)
            report_unparsable(section, name, text, is_int ? "a whole number" : "a number");
        if (!is_parsed || !check_bounds(section, name, &b, value, is_int))
            return isnan(dflt) ? inside(&b) : dflt;
    }
    if (is_int) {
        struct strbuf json;
        strbuf_init(&json);
        strbuf_addf(&json, "%.0f", value);
        section_record(section, name, &json, &value);
    } else {
        record_float(section, name, value);
    }
    return value;
}

double section_float(struct config_section *section, const char *name)
{
    return read_number(section, name, NULL, NULL, false);
}

double section_float_or(struct config_section *section, const char *name, double default_value)
{
    return read_number(section, name, &default_value, NULL, false);
}

double section_float_in(struct config_section *section, const char *name, double default_value, double min, double max)
{
    struct bounds extra = {min, max, NAN, NAN};
    return read_number(section, name, isnan(default_value) ? NULL : &default_value, &extra, false);
}

double section_float_required(struct config_section *section, const char *name)
{
    return read_number(section, name, NULL, NULL, true);
}

int section_int(struct config_section *section, const char *name)
{
    return (int)read_number(section, name, NULL, NULL, false);
}

int section_int_or(struct config_section *section, const char *name, int default_value)
{
    double dflt = default_value;
    return (int)read_number(section, name, &dflt, NULL, false);
}

int section_int_required(struct config_section *section, const char *name)
{
    return (int)read_number(section, name, NULL, NULL, true);
}

/* --- booleans, choices, texts --- */

static bool parse_bool(const char *text, bool *value)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"1", true},  {"yes", true}, {"true", true},   {"on", true},
                 {"0", false}, {"no", false}, {"false", false}, {"off", false}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (!strcasecmp(text, words[i].text)) {
            *value = words[i].value;
            return true;
        }
    return false;
}

static bool read_bool(struct config_section *section, const char *name, const bool *computed_default)
{
    const struct option_desc *desc = need_desc(section, name);
    CHECK(desc->type == OPTION_BOOL);
    bool value = false;
    const char *text = take_text(section, name);
    if (computed_default)
        value = *computed_default;
    else if (desc->default_text)
        (void)parse_bool(desc->default_text, &value);
    if (!text && !computed_default && !desc->default_text) {
        if (desc->flags & OPTION_REQUIRED)
            report_missing(section, name);
        return false;
    }
    if (text && !parse_bool(text, &value)) {
        report_unparsable(section, name, text, "True or False");
        return value;
    }
    struct strbuf json;
    strbuf_init(&json);
    strbuf_adds(&json, value ? "true" : "false");
    section_record(section, name, &json, NULL);
    return value;
}

bool section_bool(struct config_section *section, const char *name)
{
    return read_bool(section, name, NULL);
}

bool section_bool_or(struct config_section *section, const char *name, bool default_value)
{
    return read_bool(section, name, &default_value);
}

static int find_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *p = choices; p; index++) {
        size_t n = strcspn(p, "|");
        if (n == len && !memcmp(p, text, n))
            return index;
        p = p[n] ? p + n + 1 : NULL;
    }
    return -1;
}

int section_choice(struct config_section *section, const char *name)
{
    const struct option_desc *desc = need_desc(section, name);
    CHECK(desc->type == OPTION_CHOICE && desc->choices);
    const char *text = take_text(section, name);
    int dflt = desc->default_text ? find_choice(desc->choices, desc->default_text) : -1;
    if (!text) {
        if (dflt < 0) {
            if (desc->flags & OPTION_REQUIRED)
                report_missing(section, name);
            return desc->flags & OPTION_REQUIRED ? 0 : -1;
        }
        text = desc->default_text;
    }
    int index = find_choice(desc->choices, text);
    if (index < 0) {
        config_error_option(section, name, "Choice '%.80s' for option '%s' in section '%s' is not a valid choice (allowed: %s)",
                            text, name, section->name, desc->choices);
        return dflt < 0 ? 0 : dflt;
    }
    record_text(section, name, text);
    return index;
}

static const char *read_text(struct config_section *section, const char *name, const char *computed_default,
                             bool is_required)
{
    const struct option_desc *desc = need_desc(section, name);
    const char *text = take_text(section, name);
    if (!text) {
        text = computed_default ? computed_default : desc->default_text;
        if (!text && (is_required || (desc->flags & OPTION_REQUIRED))) {
            report_missing(section, name);
            return "";
        }
        if (!text)
            return NULL;
    }
    record_text(section, name, text);
    return text;
}

const char *section_string(struct config_section *section, const char *name)
{
    return read_text(section, name, NULL, false);
}

const char *section_string_or(struct config_section *section, const char *name, const char *default_value)
{
    const char *text = read_text(section, name, default_value, false);
    return text;
}

const char *section_string_required(struct config_section *section, const char *name)
{
    return read_text(section, name, NULL, true);
}

/* --- options named by a pattern --- */

const struct config_option *section_next(struct config_section *section, const char *pattern, size_t *cursor,
                                         const char **suffix)
{
    (void)need_desc(section, pattern);
    size_t prefix = strcspn(pattern, "*<");
    while (*cursor < section->option_count) {
        struct stored_option *option = section->options[(*cursor)++];
        if (!option_matches(pattern, option->pub.name))
            continue;
        option->is_read = true;
        record_text(section, option->pub.name, option->pub.value);
        if (suffix)
            *suffix = option->pub.name + prefix;
        return &option->pub;
    }
    return NULL;
}

void section_accept_all(struct config_section *section)
{
    for (size_t i = 0; i < section->option_count; i++)
        section->options[i]->is_read = true;
}

bool section_is_bound(const struct config_section *section)
{
    return section->table_count > 0;
}

void section_check_unused(struct config_section *section)
{
    for (size_t i = 0; i < section->option_count; i++) {
        const struct stored_option *option = section->options[i];
        if (option->is_read)
            continue;
        const struct option_desc *desc = find_desc(section, option->pub.name);
        if (desc && desc->when)
            config_error_option(section, option->pub.name, "Option '%s' is not valid in section '%s' (it applies when: %s)",
                                option->pub.name, section->name, desc->when);
        else
            config_error_option(section, option->pub.name, "Option '%s' is not valid in section '%s'", option->pub.name,
                                section->name);
    }
}
