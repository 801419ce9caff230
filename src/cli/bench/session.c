/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How bench and the programs of a measurement talk: through files.
 *
 * Files need nothing of the programs but opening one, so a program may be in any language, be
 * wrapped in `lithos run`, and be tried by hand with touch and cat. Everything that is timed is
 * timed by the programs on CLOCK_MONOTONIC, which all processes share; the files only say when to
 * begin and end, so that looking for them every few milliseconds costs no accuracy.
 *
 * Lines are numbers or a word and a text, and are checked: a program that died while it wrote left
 * only a temporary name.
 * Tested by tests/unit/bench_session.c.
 */
#include "cli/bench/session.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SERVICES 4096

int session_make(struct session *session, const char *parent, const char *name)
{
	int n = snprintf(session->folder, sizeof(session->folder), "%s/%s", parent, name);

	if (n < 0 || (size_t)n >= sizeof(session->folder))
		return -ENAMETOOLONG;
	return mkdir(session->folder, 0700) == 0 ? 0 : -errno;
}

static void file_of(const struct session *session, const char *kind, const char *name,
		    char ret_path[BENCH_PATH_MAX])
{
	(void)snprintf(ret_path, BENCH_PATH_MAX, "%s/%s%s%s", session->folder, kind,
		       name[0] != '\0' ? "." : "", name);
}

int session_has(const struct session *session, const char *kind, const char *name)
{
	char path[BENCH_PATH_MAX];

	file_of(session, kind, name, path);
	return access(path, F_OK) == 0;
}

/* Opens under a temporary name; publish() gives the file its own. */
static FILE *begin_file(const struct session *session, const char *kind)
{
	char path[BENCH_PATH_MAX];

	file_of(session, kind, "new", path);
	return fopen(path, "we");
}

static int publish(const struct session *session, const char *kind, const char *name, FILE *file)
{
	char new_path[BENCH_PATH_MAX];
	char path[BENCH_PATH_MAX];
	int failed = ferror(file);

	file_of(session, kind, "new", new_path);
	file_of(session, kind, name, path);
	if (fclose(file) != 0 || failed)
		return -EIO;
	return rename(new_path, path) == 0 ? 0 : -errno;
}

int session_write_arrivals(const struct session *session, const char *name,
			   const struct arrivals *arrivals)
{
	FILE *file = begin_file(session, "arrivals");

	if (file == NULL)
		return -errno;
	for (size_t i = 0; i < arrivals->nr; i++)
		(void)fprintf(file, "%" PRId64 "\n", arrivals->at_ns[i]);
	return publish(session, "arrivals", name, file);
}

int session_turn(const struct session *session, const char *name)
{
	FILE *file = begin_file(session, "turn");

	return file == NULL ? -errno : publish(session, "turn", name, file);
}

int session_go(const struct session *session, const struct session_times *times)
{
	FILE *file = begin_file(session, "go");

	if (file == NULL)
		return -errno;
	(void)fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", times->start_ns,
		      times->begin_ns, times->end_ns);
	return publish(session, "go", "", file);
}

int session_stop(const struct session *session)
{
	FILE *file = begin_file(session, "stop");

	return file == NULL ? -errno : publish(session, "stop", "", file);
}

static void add_version(struct bench_facts *facts, const char *text)
{
	for (size_t i = 0; i < facts->nr_versions; i++) {
		if (strcmp(facts->versions[i], text) == 0)
			return;
	}
	if (facts->nr_versions < BENCH_MAX_VERSIONS)
		(void)snprintf(facts->versions[facts->nr_versions++], sizeof(facts->versions[0]),
			       "%.127s", text);
}

/* The text after `word` and a space; NULL when the line begins with another word. */
static const char *after_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

static void read_ready_line(const char *line, struct bench_facts *facts, double *service_ns,
			    size_t *nr_services)
{
	const char *text = after_word(line, "device");
	double ns;

	if (text != NULL)
		(void)snprintf(facts->device, sizeof(facts->device), "%.127s", text);
	text = after_word(line, "version");
	if (text != NULL)
		add_version(facts, text);
	text = after_word(line, "service_ns");
	ns = text != NULL ? strtod(text, NULL) : 0;
	/* Not a number has no place in an order, and is no time, as nothing below zero is. */
	if (isfinite(ns) && ns > 0 && *nr_services < MAX_SERVICES)
		service_ns[(*nr_services)++] = ns;
}

int session_read_ready(const struct session *session, const char *name,
		       struct bench_facts *ret_facts)
{
	double *service_ns = calloc(MAX_SERVICES, sizeof(*service_ns));
	size_t nr_services = 0;
	char path[BENCH_PATH_MAX];
	char line[256];
	FILE *file;

	if (service_ns == NULL)
		return -ENOMEM;
	file_of(session, "ready", name, path);
	file = fopen(path, "re");
	if (file == NULL) {
		free(service_ns);
		return -errno;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		read_ready_line(line, ret_facts, service_ns, &nr_services);
	}
	(void)fclose(file);
	sort_values(service_ns, nr_services);
	ret_facts->service_ms =
		nr_services ? percentile_sorted(service_ns, nr_services, 0.5) / 1e6 : 0;
	free(service_ns);
	return 0;
}

static int read_pairs(FILE *file, struct span **ret_pairs, size_t *ret_nr)
{
	struct span *pairs = NULL;
	struct span pair;
	size_t nr = 0, room = 0;
	int fields;

	while ((fields = fscanf(file, "%" SCNd64 " %" SCNd64, &pair.begin_ns, &pair.end_ns)) == 2) {
		if (nr == room) {
			struct span *more;

			room = room ? 2 * room : 1024;
			more = realloc(pairs, room * sizeof(*pairs));
			if (more == NULL)
				break;
			pairs = more;
		}
		pairs[nr++] = pair;
	}
	if (fields != EOF || ferror(file)) {
		free(pairs);
		return fields == 2 ? -ENOMEM : -EPROTO;
	}
	*ret_pairs = pairs;
	*ret_nr = nr;
	return 0;
}

int session_read_result(const struct session *session, const char *name, struct span **ret_pairs,
			size_t *ret_nr)
{
	char path[BENCH_PATH_MAX];
	FILE *file;
	int r;

	file_of(session, "result", name, path);
	file = fopen(path, "re");
	if (file == NULL)
		return -errno;
	r = read_pairs(file, ret_pairs, ret_nr);
	(void)fclose(file);
	return r;
}
