/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines.
 *
 * Problem: lithos lives inside other people's programs. Its messages must not interleave with
 * theirs in the middle of a line, must not flood them, and must not change errno under them.
 *
 * Idea: a line is built on the stack and written with one write(2) to descriptor 2. A call site
 * that passes its struct log_site speaks LOG_LIMIT times and the last line says so. Text that
 * starts with `msg=` is taken as the caller's own key=value list; anything else is quoted as one
 * msg="...", with quotes, backslashes and control characters replaced so that a line stays a line.
 *
 * What it does badly: a line longer than LINE_BYTES is cut; write(2) to a full pipe may block as
 * any print of the program itself would; a short write loses the rest of the line.
 *
 * Tested by tests/unit/log_line.c.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 1024

static const char *const level_names[] = {"off", "error", "warn", "info", "debug"};
#define NR_LEVELS (sizeof(level_names) / sizeof(level_names[0]))

static _Atomic int log_level_now = LOG_WARN;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

enum log_level log_level_from(const char *name)
{
	for (size_t i = 0; name != NULL && i < NR_LEVELS; i++) {
		if (strcmp(name, level_names[i]) == 0)
			return (enum log_level)i;
	}
	return LOG_WARN;
}

int log_enabled(enum log_level level)
{
	return level != LOG_OFF &&
	       (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* The turn of this call at its site: 1, 2, ...; 0 when the site has used its lines up. */
static unsigned int site_turn(struct log_site *site)
{
	unsigned int turn;

	/* The load keeps the counter from ever wrapping; two racing threads may pass it together.
	 */
	if (__atomic_load_n(&site->nr_seen, __ATOMIC_RELAXED) >= LOG_LIMIT)
		return 0;
	turn = __atomic_add_fetch(&site->nr_seen, 1, __ATOMIC_RELAXED);
	return turn <= LOG_LIMIT ? turn : 0;
}

static size_t append(char *line, size_t used, const char *text)
{
	size_t room = LINE_BYTES - 1 - used;
	size_t length = strnlen(text, room);

	memcpy(line + used, text, length);
	return used + length;
}

static char printable(char c)
{
	if ((unsigned char)c < 0x20 || c == 0x7f)
		return ' ';
	if (c == '"' || c == '\\')
		return '\'';
	return c;
}

/* The caller's text; only control characters are replaced when it brings its own keys. */
static void clean(char *text, int has_keys)
{
	for (; *text != '\0'; text++) {
		if (!has_keys || (unsigned char)*text < 0x20)
			*text = printable(*text);
	}
}

static size_t build_line(char *line, enum log_level level, char *text, int is_last)
{
	int has_keys = strncmp(text, "msg=", 4) == 0;
	size_t used = 0;

	clean(text, has_keys);
	used = append(line, used, "lithos: level=");
	used = append(line, used, level_names[level]);
	used = append(line, used, has_keys ? " " : " msg=\"");
	used = append(line, used, text);
	used = append(line, used, has_keys ? "" : "\"");
	if (is_last)
		used = append(line, used, " repeats=hidden");
	line[used++] = '\n';
	return used;
}

void log_line(struct log_site *site, enum log_level level, const char *format, ...)
{
	int saved_errno = errno;
	unsigned int turn = 0;
	char text[LINE_BYTES - 128];
	va_list args;

	if (!log_enabled(level) || (size_t)level >= NR_LEVELS)
		return;
	if (site != NULL) {
		turn = site_turn(site);
		if (turn == 0)
			return;
	}
	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) >= 0) {
		char line[LINE_BYTES];
		size_t length = build_line(line, level, text, turn == LOG_LIMIT);

		/* A log line that cannot be written has nowhere to be reported. */
		if (write(STDERR_FILENO, line, length) < 0)
			errno = saved_errno;
	}
	va_end(args);
	errno = saved_errno;
}
