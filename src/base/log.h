/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line on stderr, `lithos: level=warn msg="..." key=value`, at most a few times per message.
 *
 * For the shim, the CLI and later the daemon; base, sched, hw and sim do not log. Thread-safe, no
 * allocation; each line is one write(2).
 */
#ifndef LITHOS_BASE_LOG_H
#define LITHOS_BASE_LOG_H

enum log_level {
	LOG_OFF,
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG
};

/* The counter that limits one call site to LOG_LIMIT lines; file-static at the call site. */
struct log_site {
	unsigned int nr_seen;
};

#define LOG_LIMIT 3

void log_set_level(enum log_level level);
/* LOG_WARN for a name it does not know. */
enum log_level log_level_from(const char *name);
int log_enabled(enum log_level level);

/*
 * Writes one line unless the level is off or the site spoke LOG_LIMIT times. site may be NULL: no
 * limit. The text is a sentence, which becomes msg="sentence"; to add keys, start it with msg= and
 * quote it yourself: log_line(&site, LOG_WARN, "msg=\"no driver\" path=%s", path). errno is kept.
 */
void log_line(struct log_site *site, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
