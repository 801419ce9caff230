/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options from the environment.
 *
 * Problem: options read where they are used end up with several defaults, several spellings and no
 * list. Idea: options.def is the only list. It becomes the struct, the table that people see and,
 * with one offset a row, the loop below that fills the struct. A default goes through the same
 * parser as a value of the environment, so a default outside its own range is found by the first
 * test that runs.
 *
 * The range column is read, not only printed: "a|b|c:N" is a choice, in which N is any number from
 * 1; "LO-HI" bounds a u32; other texts describe a string and are not checked here ("path", "N or
 * P%").
 *
 * An empty variable counts as unset. secure_getenv is used, so a set-user-ID program ignores all of
 * it.
 *
 * What it does badly: a variable it does not know (LITHOS_QOUTA) goes unnoticed. Tested by
 * tests/unit/options_read.c.
 */
#include "base/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DFLT_str(value)  value
#define DFLT_bool(value) #value
#define DFLT_u32(value)  #value

const struct option_row option_rows[] = {
#define OPTION(member, env, type, dflt, range, when, sentence)                                     \
	{#member, env, #type, DFLT_##type(dflt), range, #when, sentence},
#include "options.def"
#undef OPTION
};

const size_t nr_option_rows = sizeof(option_rows) / sizeof(option_rows[0]);

static const size_t option_offset[] = {
#define OPTION(member, env, type, dflt, range, when, sentence) offsetof(struct options, member),
#include "options.def"
#undef OPTION
};

#undef DFLT_str
#undef DFLT_bool
#undef DFLT_u32

static int parse_u32(const char *text, uint32_t *ret_value)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX)
			return -ERANGE;
	}
	*ret_value = (uint32_t)value;
	return 0;
}

/* Whether the text is the word, of so many characters, whose last may be N for a number. */
static int is_word(const char *word, size_t length, const char *text)
{
	size_t fixed = length > 1 && word[length - 1] == 'N' ? length - 1 : length;
	uint32_t number = 0;

	if (strncmp(word, text, fixed) != 0)
		return 0;
	return fixed == length ? text[length] == '\0'
			       : parse_u32(text + fixed, &number) == 0 && number > 0;
}

/* Whether the text is one of the words of "a|b|c:N"; true for a range that is not a choice. */
static int is_choice(const char *range, const char *text)
{
	if (strchr(range, '|') == NULL)
		return 1;
	for (;;) {
		size_t length = strcspn(range, "|");

		if (is_word(range, length, text))
			return 1;
		if (range[length] == '\0')
			return 0;
		range += length + 1;
	}
}

/* All setters: NULL, or what is wrong with the text; nothing is written then. */
static const char *set_str(char *member, const struct option_row *row, const char *text)
{
	if (strlen(text) >= OPTION_STR_MAX)
		return "is too long";
	if (!is_choice(row->range, text))
		return "is not one of the choices";
	memcpy(member, text, strlen(text) + 1);
	return NULL;
}

static const char *set_bool(uint32_t *member, const char *text)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return "is not 0 or 1";
	*member = text[0] == '1';
	return NULL;
}

static const char *set_u32(uint32_t *member, const struct option_row *row, const char *text)
{
	uint32_t value;
	uint32_t low;
	uint32_t high;
	int r = parse_u32(text, &value);

	if (r == -EINVAL)
		return "is not a number";
	if (r < 0)
		return "is out of range";
	if (sscanf(row->range, "%u-%u", &low, &high) == 2 && (value < low || value > high))
		return "is out of range";
	*member = value;
	return NULL;
}

static const char *set_option(struct options *options, size_t index, const char *text)
{
	const struct option_row *row = &option_rows[index];
	void *member = (char *)options + option_offset[index];

	if (strcmp(row->type, "str") == 0)
		return set_str(member, row, text);
	if (strcmp(row->type, "bool") == 0)
		return set_bool(member, text);
	return set_u32(member, row, text);
}

const char *options_environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

int options_has_environment(const char *name)
{
	return secure_getenv(name) != NULL;
}

int options_read(struct options *options, char *errbuf, size_t errbuf_size)
{
	int nr_bad = 0;

	memset(options, 0, sizeof(*options));
	if (errbuf_size > 0)
		errbuf[0] = '\0';
	for (size_t i = 0; i < nr_option_rows; i++) {
		const struct option_row *row = &option_rows[i];
		const char *text = options_environment(row->env);
		const char *wrong;

		(void)set_option(options, i, row->dflt);
		wrong = text != NULL ? set_option(options, i, text) : NULL;
		if (wrong == NULL)
			continue;
		if (nr_bad++ == 0)
			(void)snprintf(errbuf, errbuf_size, "%s: '%s' %s (%s)", row->env, text,
				       wrong, row->range);
	}
	return nr_bad;
}
