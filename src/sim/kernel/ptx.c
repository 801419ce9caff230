/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of PTX declarations.
 *
 * Problem: the simulated driver gets modules as PTX text and must know each kernel's parameters,
 * static shared memory and launch bounds. Idea: a tokenizer, and a parser that understands
 * declarations
 * (.entry, .param, .shared, .global, .maxntid, .reqntid, .reqnctapercluster) and skips everything
 * else; instructions never start with these words.
 *
 * What it does badly: initial values of globals are not read (they start as zero), and shared
 * variables of the module, outside kernels, are counted for every kernel. Registers are not
 * counted. Tested by tests/unit/sim_ptx.c.
 */
#include "sim/kernel/ptx.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
	const char *at;
	const char *word; /* the current token */
	size_t length;    /* 0: end of text */
};

static const char *skip_comment(const char *at)
{
	const char *end;

	if (at[0] == '/' && at[1] == '/') {
		end = strchr(at, '\n');
		return end ? end : at + strlen(at);
	}
	if (at[0] == '/' && at[1] == '*') {
		end = strstr(at + 2, "*/");
		return end ? end + 2 : at + strlen(at);
	}
	return NULL;
}

static const char *skip_space(const char *at)
{
	for (;;) {
		const char *after;

		while (isspace((unsigned char)*at))
			at++;
		after = skip_comment(at);
		if (!after)
			return at;
		at = after;
	}
}

static int is_word_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_$%.", c));
}

/* Strings are one token, so that no word is found inside them. */
static size_t token_length(const char *at)
{
	size_t n = 0;

	if (*at == '"') {
		const char *end = strchr(at + 1, '"');

		return end ? (size_t)(end - at) + 1 : strlen(at);
	}
	while (is_word_char(at[n]))
		n++;
	return n || !*at ? n : 1;
}

static int next(struct lexer *lexer)
{
	lexer->word = skip_space(lexer->at);
	lexer->length = token_length(lexer->word);
	lexer->at = lexer->word + lexer->length;
	return lexer->length != 0;
}

static int word_is(const struct lexer *lexer, const char *text)
{
	return lexer->length == strlen(text) && !memcmp(lexer->word, text, lexer->length);
}

static void copy_name(const struct lexer *lexer, char *ret_name)
{
	size_t n = lexer->length < PTX_NAME_MAX - 1 ? lexer->length : PTX_NAME_MAX - 1;

	memcpy(ret_name, lexer->word, n);
	ret_name[n] = 0;
}

/* Bytes of a fundamental type such as .u32 or .f16x2; 0 when the word is none. */
static uint32_t type_size(const struct lexer *lexer)
{
	unsigned long bits;
	char *end;

	if (lexer->length < 3 || lexer->word[0] != '.' || !strchr("usbf", lexer->word[1]))
		return 0;
	bits = strtoul(lexer->word + 2, &end, 10);
	if (end == lexer->word + lexer->length)
		return (uint32_t)(bits / 8);
	return word_is(lexer, ".f16x2") || word_is(lexer, ".bf16x2") ? 4 : 0;
}

/* A declared variable or parameter. */
struct declaration {
	char name[PTX_NAME_MAX];
	uint32_t size;
	uint32_t align;
};

static uint32_t read_number(struct lexer *lexer)
{
	if (!next(lexer))
		return 0;
	return (uint32_t)strtoul(lexer->word, NULL, 0);
}

static void skip_to(struct lexer *lexer, const char *word)
{
	while (!word_is(lexer, word)) {
		if (!next(lexer))
			return;
	}
}

/* One word of a declaration that does not end it. */
static void read_attribute(struct lexer *lexer, uint32_t *align, struct declaration *ret)
{
	uint32_t size = type_size(lexer);

	if (size) {
		ret->size = size;
		ret->align = *align > size ? *align : size;
	} else if (word_is(lexer, ".align")) {
		/* After the type it describes what a pointer points to. */
		*align = read_number(lexer);
	} else if (word_is(lexer, "[")) {
		ret->size *= read_number(lexer);
	} else if (*lexer->word != '.' && *lexer->word != ']' && !ret->name[0]) {
		copy_name(lexer, ret->name);
	}
}

/* From after the state space word up to the token in `stops` that ends it, which is left current.
 */
static int read_declaration(struct lexer *lexer, const char *stops, struct declaration *ret)
{
	uint32_t align = 0;

	memset(ret, 0, sizeof(*ret));
	while (next(lexer)) {
		if (lexer->length == 1 && strchr(stops, *lexer->word))
			return 0;
		if (word_is(lexer, "=")) {
			skip_to(lexer, ";");
			return 0;
		}
		read_attribute(lexer, &align, ret);
	}
	return -EINVAL;
}

static int read_params(struct lexer *lexer, struct ptx_entry *entry)
{
	while (next(lexer) && !word_is(lexer, ")")) {
		struct declaration param;

		if (!word_is(lexer, ".param"))
			continue;
		if (read_declaration(lexer, ",)", &param) || !param.align)
			return -EINVAL;
		if (entry->nr_params == PTX_MAX_PARAMS)
			return -EINVAL;
		entry->param_bytes = (entry->param_bytes + param.align - 1) / param.align;
		entry->param_bytes *= param.align;
		entry->param[entry->nr_params].offset = entry->param_bytes;
		entry->param[entry->nr_params++].size = param.size;
		entry->param_bytes += param.size;
		if (word_is(lexer, ")"))
			break;
	}
	return lexer->length ? 0 : -EINVAL;
}

/* Up to three numbers; absent ones are 1. The token after them has been read already. */
static void read_triple(struct lexer *lexer, uint32_t ret_triple[3])
{
	for (int i = 0; i < 3; i++)
		ret_triple[i] = 1;
	for (int i = 0; i < 3; i++) {
		ret_triple[i] = read_number(lexer);
		if (!next(lexer) || !word_is(lexer, ","))
			return;
	}
	(void)next(lexer);
}

/* Directives between the parameters and the body; the body's brace is left current. */
static int read_bounds(struct lexer *lexer, struct ptx_entry *entry)
{
	int more = next(lexer);

	while (more && !word_is(lexer, "{")) {
		uint32_t triple[3];

		if (word_is(lexer, ".maxntid") || word_is(lexer, ".reqntid")) {
			read_triple(lexer, triple);
			entry->max_threads = triple[0] * triple[1] * triple[2];
			more = lexer->length != 0;
		} else if (word_is(lexer, ".reqnctapercluster")) {
			read_triple(lexer, entry->cluster);
			more = lexer->length != 0;
		} else if (word_is(lexer, ";")) {
			return -EAGAIN; /* a declaration without a body */
		} else {
			more = next(lexer);
		}
	}
	return more ? 0 : -EINVAL;
}

static int read_body(struct lexer *lexer, struct ptx_entry *entry)
{
	int depth = 1;

	while (depth && next(lexer)) {
		struct declaration variable;

		if (word_is(lexer, "{"))
			depth++;
		else if (word_is(lexer, "}"))
			depth--;
		if (!word_is(lexer, ".shared"))
			continue;
		if (read_declaration(lexer, ";", &variable))
			return -EINVAL;
		entry->shared_bytes += variable.size;
	}
	return depth ? -EINVAL : 0;
}

static int read_entry(struct lexer *lexer, struct ptx_module *module)
{
	struct ptx_entry *entries =
		realloc(module->entry, (module->nr_entries + 1) * sizeof(*entries));
	struct ptx_entry *entry;
	int r;

	if (!entries)
		return -ENOMEM;
	module->entry = entries;
	entry = &entries[module->nr_entries];
	memset(entry, 0, sizeof(*entry));
	if (!next(lexer))
		return -EINVAL;
	copy_name(lexer, entry->name);
	if (!next(lexer))
		return -EINVAL;
	r = word_is(lexer, "(") ? read_params(lexer, entry) : 0;
	if (!r)
		r = read_bounds(lexer, entry);
	if (!r)
		r = read_body(lexer, entry);
	if (!r)
		module->nr_entries++;
	return r == -EAGAIN ? 0 : r;
}

static int read_global(struct lexer *lexer, struct ptx_module *module)
{
	struct ptx_global *globals;
	struct declaration variable;

	if (read_declaration(lexer, ";", &variable))
		return -EINVAL;
	globals = realloc(module->global, (module->nr_globals + 1) * sizeof(*globals));
	if (!globals)
		return -ENOMEM;
	module->global = globals;
	memcpy(globals[module->nr_globals].name, variable.name, PTX_NAME_MAX);
	globals[module->nr_globals++].size = variable.size;
	return 0;
}

static int read_shared(struct lexer *lexer, int is_extern, uint32_t *shared_bytes)
{
	struct declaration variable;

	if (read_declaration(lexer, ";", &variable))
		return -EINVAL;
	/* An extern array is the dynamic shared memory, sized at launch. */
	if (!is_extern)
		*shared_bytes += variable.size;
	return 0;
}

static int read_module(struct lexer *lexer, struct ptx_module *module)
{
	uint32_t shared_bytes = 0;
	int is_extern = 0;
	int r = 0;

	while (!r && next(lexer)) {
		if (word_is(lexer, ".extern")) {
			is_extern = 1;
			continue;
		}
		if (word_is(lexer, ".entry"))
			r = read_entry(lexer, module);
		else if (word_is(lexer, ".global"))
			r = read_global(lexer, module);
		else if (word_is(lexer, ".shared"))
			r = read_shared(lexer, is_extern, &shared_bytes);
		is_extern = 0;
	}
	for (size_t i = 0; i < module->nr_entries; i++)
		module->entry[i].shared_bytes += shared_bytes;
	return r;
}

int ptx_parse(const char *text, struct ptx_module *ret_module)
{
	struct lexer lexer = {.at = text};
	int r;

	memset(ret_module, 0, sizeof(*ret_module));
	if (!next(&lexer) || !word_is(&lexer, ".version"))
		return -EINVAL;
	r = read_module(&lexer, ret_module);
	if (r)
		ptx_free(ret_module);
	return r;
}

void ptx_free(struct ptx_module *module)
{
	free(module->entry);
	free(module->global);
	memset(module, 0, sizeof(*module));
}
