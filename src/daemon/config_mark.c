/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places in a YAML text.
 *
 * The schema library says what is wrong with a value, but of an unknown key only where the one
 * before it was, and nothing of rules that the schema cannot express (ranges, what belongs
 * together). So the text is walked once more, event by event, only to look places up. It runs after
 * something was found wrong, on files of a page: no index is kept.
 *
 * Keys of mappings inside mappings are known as "outer.inner"; deeper nesting is not used. Tested
 * by tests/unit/daemon_config.c.
 */
#include "daemon/config_mark.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define MAX_DEPTH  8
#define KEY_BYTES  64
#define PATH_BYTES 130

/* One walk: what is looked for, and how deep it is. */
struct walk {
	int depth;
	int is_sequence[MAX_DEPTH];
	int expects_key[MAX_DEPTH];
	int index[MAX_DEPTH];
	char key[MAX_DEPTH][KEY_BYTES]; /* the last one of each level */
};

static struct config_mark mark_of(const yaml_mark_t *mark)
{
	return (struct config_mark){(unsigned int)mark->line + 1, (unsigned int)mark->column + 1};
}

static int is_after(struct config_mark a, struct config_mark b)
{
	return a.line > b.line || (a.line == b.line && a.column > b.column);
}

static void enter(struct walk *walk, int is_sequence)
{
	if (walk->depth + 1 >= MAX_DEPTH)
		return;
	walk->depth++;
	walk->is_sequence[walk->depth] = is_sequence;
	walk->expects_key[walk->depth] = !is_sequence;
	walk->index[walk->depth] = -1;
	walk->key[walk->depth][0] = '\0';
}

/* A node begins. 1 = it is a key. */
static int begin_node(struct walk *walk, const yaml_event_t *event)
{
	int d = walk->depth;
	int is_key = !walk->is_sequence[d] && walk->expects_key[d];

	walk->index[d]++;
	walk->expects_key[d] = !walk->is_sequence[d] && !is_key;
	if (is_key && event->type == YAML_SCALAR_EVENT)
		(void)snprintf(walk->key[d], KEY_BYTES, "%s",
			       (const char *)event->data.scalar.value);
	return is_key;
}

/* Books the event. 1 a key, 2 a value begins, 0 neither. */
static int step(struct walk *walk, const yaml_event_t *event)
{
	int is_key;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return begin_node(walk, event) ? 1 : 2;
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		is_key = begin_node(walk, event);
		enter(walk, event->type == YAML_SEQUENCE_START_EVENT);
		return is_key ? 0 : 3;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		walk->depth -= walk->depth > 0;
		return 0;
	default:
		return 0;
	}
}

/* "mapping.key" of the level; the top mapping is level 1. */
static void path_at(const struct walk *walk, int level, char path[PATH_BYTES])
{
	if (level >= 2)
		(void)snprintf(path, PATH_BYTES, "%s.%s", walk->key[1], walk->key[2]);
	else
		(void)snprintf(path, PATH_BYTES, "%s", walk->key[1]);
}

static int value_matches(const struct walk *walk, int what, const char *path, int index)
{
	/* A collection has been entered already: its key is one level up. */
	int level = what == 3 ? walk->depth - 1 : walk->depth;
	char at[PATH_BYTES];

	if (what != 2 && what != 3)
		return 0;
	if (index >= 0) {
		if (!walk->is_sequence[level] || walk->index[level] != index)
			return 0;
		level--;
	} else if (walk->is_sequence[level]) {
		return 0;
	}
	path_at(walk, level, at);
	return strcmp(at, path) == 0;
}

struct wanted {
	const char *key;  /* a key, */
	const char *path; /* or the value at a path */
	int index;
	struct config_mark after;
};

static int matches(const struct walk *walk, int what, const struct wanted *wanted,
		   struct config_mark mark)
{
	if (wanted->key)
		return what == 1 && strcmp(walk->key[walk->depth], wanted->key) == 0 &&
		       is_after(mark, wanted->after);
	return value_matches(walk, what, wanted->path, wanted->index);
}

static int find(const char *text, size_t size, const struct wanted *wanted,
		struct config_mark *ret_mark)
{
	struct walk walk = {0};
	yaml_parser_t parser;
	yaml_event_t event;
	int is_over = 0;
	int is_found = 0;

	if (!yaml_parser_initialize(&parser))
		return 0;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	while (!is_over && !is_found && yaml_parser_parse(&parser, &event)) {
		int what = step(&walk, &event);

		is_over = event.type == YAML_STREAM_END_EVENT;
		is_found = what && matches(&walk, what, wanted, mark_of(&event.start_mark));
		if (is_found)
			*ret_mark = mark_of(&event.start_mark);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return is_found;
}

int config_mark_key(const char *text, size_t size, const char *key, struct config_mark after,
		    struct config_mark *ret_mark)
{
	struct wanted wanted = {.key = key, .after = after};

	return find(text, size, &wanted, ret_mark);
}

int config_mark_value(const char *text, size_t size, const char *path, int index,
		      struct config_mark *ret_mark)
{
	struct wanted wanted = {.path = path, .index = index};

	return find(text, size, &wanted, ret_mark);
}

/* The library knows only the byte where its reader stumbled. */
static struct config_mark mark_of_offset(const char *text, size_t size, size_t offset)
{
	struct config_mark mark = {1, 1};

	for (size_t i = 0; i < offset && i < size; i++) {
		mark.column++;
		if (text[i] == '\n')
			mark = (struct config_mark){mark.line + 1, 1};
	}
	return mark;
}

int config_mark_syntax(const char *text, size_t size, struct config_mark *ret_mark,
		       const char **ret_problem)
{
	yaml_parser_t parser;
	yaml_event_t event;
	int is_over = 0;
	int is_sound = 1;
	int nr_documents = 0;

	if (!yaml_parser_initialize(&parser))
		return 1;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	while (!is_over && is_sound) {
		is_sound = yaml_parser_parse(&parser, &event);
		if (!is_sound)
			break;
		is_over = event.type == YAML_STREAM_END_EVENT;
		nr_documents += event.type == YAML_DOCUMENT_START_EVENT;
		*ret_mark = mark_of(&event.start_mark);
		yaml_event_delete(&event);
		if (nr_documents > 1)
			break;
	}
	if (nr_documents > 1)
		*ret_problem = "a second document begins here, of which nothing would be read";
	if (!is_sound) {
		*ret_mark = parser.error == YAML_READER_ERROR
				    ? mark_of_offset(text, size, parser.problem_offset)
				    : mark_of(&parser.problem_mark);
		*ret_problem = parser.problem ? parser.problem : "not YAML";
	}
	yaml_parser_delete(&parser);
	return is_sound && nr_documents <= 1;
}
