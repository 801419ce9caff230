/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel names for people.
 *
 * Problem: C++ kernels have mangled names of hundreds of characters that all start alike, and a
 * full demangler is a C++ run-time library, which the command must not need.
 *
 * Idea: of the Itanium ABI's grammar only the part that names things is read: _Z, optionally N and
 * qualifiers, then a run of <length><identifier>. Joined with "::" they are what a person looks
 * for. When template arguments follow (I), a '<' and the rest as it is are appended, so that
 * instances of one template can still be told apart until the line is cut. Anything else is printed
 * as it is.
 *
 * What it does badly: substitutions (S_), anonymous lambdas and operators stay mangled.
 *
 * Tested by tests/unit/cli_names.c.
 */
#include "cli/run/kernel_name.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1024

struct text {
	char bytes[TEXT_BYTES];
	size_t length;
};

static void append(struct text *text, const char *bytes, size_t length)
{
	size_t room = sizeof(text->bytes) - 1 - text->length;

	length = length < room ? length : room;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

/* The identifier at `at`; NULL when there is none or it runs past the end of the name. */
static const char *identifier(const char *at, size_t *ret_length)
{
	size_t length = 0;

	while (*at >= '0' && *at <= '9' && length < TEXT_BYTES)
		length = length * 10 + (size_t)(*at++ - '0');
	if (length == 0 || strnlen(at, length) < length)
		return NULL;
	*ret_length = length;
	return at;
}

/* Reads <length><identifier>... and returns what follows. */
static const char *append_scopes(struct text *text, const char *at)
{
	size_t length = 0;
	const char *name = identifier(at, &length);

	while (name != NULL) {
		if (text->length > 0)
			append(text, "::", 2);
		/* Anonymous namespaces are mangled as _GLOBAL__N_ and a number or hash. */
		if (length >= 11 && strncmp(name, "_GLOBAL__N_", 11) == 0)
			append(text, "(anonymous)", 11);
		else
			append(text, name, length);
		at = name + length;
		name = identifier(at, &length);
	}
	return at;
}

static void spell_out(struct text *text, const char *name)
{
	text->length = 0;
	text->bytes[0] = '\0';
	if (strncmp(name, "_Z", 2) == 0) {
		const char *rest = append_scopes(text, name + 2 + (name[2] == 'N'));

		if (text->length > 0 && *rest == 'I') {
			append(text, "<", 1);
			append(text, rest + 1, strlen(rest + 1));
		}
	}
	if (text->length == 0)
		append(text, name, strlen(name));
}

void kernel_name_short(const char *name, char *ret_text, size_t width)
{
	struct text text;

	spell_out(&text, name);
	if (text.length <= width) {
		memcpy(ret_text, text.bytes, text.length + 1);
		return;
	}
	memcpy(ret_text, text.bytes, width - 2);
	memcpy(ret_text + width - 2, "..", 3);
}
