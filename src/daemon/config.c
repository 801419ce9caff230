/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lithosd.yaml.
 *
 * The schema below is the list of keys; libcyaml checks the text against it and fills a struct of
 * optional values, which are then checked and copied over the defaults. Nothing is guessed: an
 * unknown key, a value of another kind or out of range, a missing version are errors with the place
 * in the file, and the daemon does not start. All errors read FILE:LINE:COLUMN: sentence.
 *
 * Numbers and words (booleans are yes, no, true, false) come as texts and are read here: libcyaml
 * takes "100ms" for 100 and any text for true, and does not say which words there are.
 *
 * Tested by tests/unit/daemon_config.c, error by error.
 */
#include "daemon/config.h"
#include "base/uuid.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lithos/tpcset.h>

#include "base/options.h"
#include "daemon/config_mark.h"

#define MAX_FILE_BYTES 65536
#define MESSAGE_BYTES  256

/* --- what may be in the file ------------------------------------------------------------------ */

struct yaml_mps {
	char *mode;
	char *pipe_directory;
	char *log_directory;
	char *multiuser;
};

struct yaml_sharing {
	char *lend;
	char *bound_us;
	char *grace_us;
};

struct yaml_limits {
	char *tenants;
	char *connections;
};

struct yaml_config {
	char *version;
	char *log;
	char *socket;
	char *socket_mode;
	char *state;
	char **gpus;
	uint32_t gpus_count;
	struct yaml_mps mps;
	struct yaml_sharing sharing;
	struct yaml_limits limits;
};

#define OPTIONAL     CYAML_FLAG_OPTIONAL
#define OPTIONAL_PTR (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define WORD_BYTES   64 /* of a number or a word: longer ones are wrong anyway */
#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

#define WORD(key, type, member)                                                                    \
	CYAML_FIELD_STRING_PTR(key, OPTIONAL_PTR, type, member, 0, WORD_BYTES)
#define PATH(key, type, member, least)                                                             \
	CYAML_FIELD_STRING_PTR(key, OPTIONAL_PTR, type, member, least, CONFIG_PATH_BYTES - 1)

/* clang-format off */
static const cyaml_schema_field_t mps_fields[] = {
	WORD("mode", struct yaml_mps, mode),
	PATH("pipe_directory", struct yaml_mps, pipe_directory, 1),
	PATH("log_directory", struct yaml_mps, log_directory, 1),
	WORD("multiuser", struct yaml_mps, multiuser),
	CYAML_FIELD_END};

static const cyaml_schema_field_t sharing_fields[] = {
	WORD("lend", struct yaml_sharing, lend),
	WORD("bound_us", struct yaml_sharing, bound_us),
	WORD("grace_us", struct yaml_sharing, grace_us),
	CYAML_FIELD_END};

static const cyaml_schema_field_t limits_fields[] = {
	WORD("tenants_per_user", struct yaml_limits, tenants),
	WORD("connections_per_user", struct yaml_limits, connections),
	CYAML_FIELD_END};

static const cyaml_schema_value_t gpu_item = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, CONFIG_PATH_BYTES)};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("version", CYAML_FLAG_POINTER, struct yaml_config, version, 0, 64),
	WORD("log", struct yaml_config, log),
	PATH("socket", struct yaml_config, socket, 1),
	WORD("socket_mode", struct yaml_config, socket_mode),
	PATH("state", struct yaml_config, state, 0),
	CYAML_FIELD_SEQUENCE("gpus", OPTIONAL_PTR, struct yaml_config, gpus, &gpu_item, 0,
			     CONFIG_MAX_GPUS),
	CYAML_FIELD_MAPPING("mps", OPTIONAL, struct yaml_config, mps, mps_fields),
	CYAML_FIELD_MAPPING("sharing", OPTIONAL, struct yaml_config, sharing, sharing_fields),
	CYAML_FIELD_MAPPING("limits", OPTIONAL, struct yaml_config, limits, limits_fields),
	CYAML_FIELD_END};
/* clang-format on */

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_config, fields)};

/* --- one reading ------------------------------------------------------------------------------ */

struct reading {
	const char *path;
	char text[MAX_FILE_BYTES];
	size_t size;
	char message[MESSAGE_BYTES]; /* the library's first */
	struct config_mark mark;     /* and the innermost place it named */
	char *error;
	size_t error_size;
};

static int say(const struct reading *reading, struct config_mark mark, const char *what)
{
	(void)snprintf(reading->error, reading->error_size, "%s:%u:%u: %s", reading->path,
		       mark.line ? mark.line : 1, mark.column ? mark.column : 1, what);
	return -EINVAL;
}

static int say_value(const struct reading *reading, const char *path, int index, const char *what)
{
	struct config_mark mark = {0};

	(void)config_mark_value(reading->text, reading->size, path, index, &mark);
	return say(reading, mark, what);
}

/* The library's messages: what is wrong, "Load: Backtrace:", then places from the inside out. */
__attribute__((format(printf, 3, 0))) static void hear(cyaml_log_t level, void *ctx,
						       const char *format, va_list args)
{
	struct reading *reading = ctx;
	char line[MESSAGE_BYTES];
	const char *place;

	(void)level;
	(void)vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	place = strstr(line, "(line: ");
	if (strcmp(line, "Load: Backtrace:") == 0)
		return;
	if (strncmp(line, "Load: ", 6) == 0 && !reading->message[0])
		(void)snprintf(reading->message, sizeof(reading->message), "%s", line + 6);
	else if (place && !reading->mark.line)
		(void)sscanf(place, "(line: %u, column: %u)", &reading->mark.line,
			     &reading->mark.column);
}

/* Where the library is a key behind, the key is looked for. */
static int say_library(const struct reading *reading, cyaml_err_t err)
{
	static const char *const key_messages[] = {"Unexpected key: ",
						   "Mapping field already seen: "};
	struct config_mark mark = reading->mark;

	for (size_t i = 0; i < NR_OF(key_messages); i++) {
		size_t n = strlen(key_messages[i]);

		if (strncmp(reading->message, key_messages[i], n) == 0)
			(void)config_mark_key(reading->text, reading->size, reading->message + n,
					      reading->mark, &mark);
	}
	return say(reading, mark, reading->message[0] ? reading->message : cyaml_strerror(err));
}

/* All of it, or up to the first byte too many. */
static int read_bytes(struct reading *reading)
{
	int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	int r;

	while (n > 0 && reading->size < sizeof(reading->text)) {
		n = read(fd, reading->text + reading->size, sizeof(reading->text) - reading->size);
		reading->size += n > 0 ? (size_t)n : 0;
	}
	r = n < 0 ? errno : 0;
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int read_text(struct reading *reading)
{
	int r = read_bytes(reading);

	if (r)
		(void)snprintf(reading->error, reading->error_size, "%s: %s", reading->path,
			       strerror(r));
	else if (reading->size == sizeof(reading->text))
		(void)snprintf(reading->error, reading->error_size,
			       "%s: too long: %d bytes or more", reading->path, MAX_FILE_BYTES);
	return r || reading->size == sizeof(reading->text) ? -EINVAL : 0;
}

/* --- checks ----------------------------------------------------------------------------------- */

struct word {
	const char *text;
	int value;
};

static const struct word log_words[] = {{"off", LOG_OFF},     {"error", LOG_ERROR},
					{"warn", LOG_WARN},   {"info", LOG_INFO},
					{"debug", LOG_DEBUG}, {0}};
static const struct word mode_words[] = {
	{"auto", MPS_MODE_AUTO}, {"off", MPS_MODE_OFF}, {"required", MPS_MODE_REQUIRED}, {0}};
static const struct word bool_words[] = {{"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {0}};

static int take_word(const struct reading *reading, const char *path, const char *value,
		     const struct word *words, int *into)
{
	char what[MESSAGE_BYTES];
	size_t used;

	if (!value)
		return 0;
	for (const struct word *word = words; word->text; word++) {
		if (strcmp(word->text, value) == 0) {
			*into = word->value;
			return 0;
		}
	}
	used = (size_t)snprintf(what, sizeof(what), "%s is '%s', not", path, value);
	for (const struct word *word = words; word->text && used < sizeof(what); word++)
		used += (size_t)snprintf(what + used, sizeof(what) - used, "%s %s",
					 word == words  ? ""
					 : word[1].text ? ","
							: " or",
					 word->text);
	return say_value(reading, path, -1, what);
}

/* Digits alone: a unit or an exponent that were left out would make another number of it. */
static int take_number(const struct reading *reading, const char *path, const char *value,
		       uint32_t low, uint32_t high, uint32_t *into)
{
	uint64_t number = 0;
	const char *p = value;

	if (!value)
		return 0;
	for (; *p >= '0' && *p <= '9' && number <= UINT32_MAX; p++)
		number = number * 10 + (uint64_t)(*p - '0');
	if (p == value || *p || number < low || number > high) {
		char what[MESSAGE_BYTES];

		(void)snprintf(what, sizeof(what), "%s is '%s', not a whole number from %u to %u",
			       path, value, low, high);
		return say_value(reading, path, -1, what);
	}
	*into = (uint32_t)number;
	return 0;
}

/* The same for what is kept in nanoseconds. */
static int take_us(const struct reading *reading, const char *path, const char *value, uint32_t low,
		   uint64_t *into_ns)
{
	uint32_t us = 0;
	int r = take_number(reading, path, value, low, 100000, &us);

	if (r == 0 && value)
		*into_ns = us * 1000ull;
	return r;
}

static int take_path(const struct reading *reading, const char *path, const char *value, char *into)
{
	if (!value)
		return 0;
	if (value[0] && value[0] != '/') {
		char what[MESSAGE_BYTES];

		(void)snprintf(what, sizeof(what), "%s is '%.160s', not an absolute path", path,
			       value);
		return say_value(reading, path, -1, what);
	}
	(void)snprintf(into, CONFIG_PATH_BYTES, "%s", value);
	return 0;
}

static int take_mode(const struct reading *reading, const char *value, uint32_t *into)
{
	unsigned int mode = 0;
	const char *p = value;

	if (!value)
		return 0;
	for (; *p >= '0' && *p <= '7' && mode <= 0777; p++)
		mode = mode * 8 + (unsigned int)(*p - '0');
	if (*p || mode > 0777 || !(mode & 0600)) {
		char what[MESSAGE_BYTES];

		(void)snprintf(what, sizeof(what),
			       "socket_mode is '%s', not an octal mode like 0666", value);
		return say_value(reading, "socket_mode", -1, what);
	}
	*into = mode;
	return 0;
}

static int take_gpus(const struct reading *reading, const struct yaml_config *yaml,
		     struct config *into)
{
	char what[MESSAGE_BYTES];

	for (uint32_t i = 0; i < yaml->gpus_count; i++) {
		const char *gpu = yaml->gpus[i];

		if (config_parse_uuid(gpu, strlen(gpu), into->gpus[i]) == 0)
			continue;
		(void)snprintf(what, sizeof(what),
			       "gpus has '%.120s', not a UUID as nvidia-smi -L shows it (GPU-...)",
			       gpu);
		return say_value(reading, "gpus", (int)i, what);
	}
	into->nr_gpus = yaml->gpus_count;
	return 0;
}

static int check_version(const struct reading *reading, const struct yaml_config *yaml)
{
	if (!yaml || !yaml->version)
		return say(reading, (struct config_mark){0}, "version is missing: this is v1");
	if (strcmp(yaml->version, "v1") != 0)
		return say_value(reading, "version", -1, "unknown version: this lithosd reads v1");
	return 0;
}

static int take_numbers(const struct reading *reading, const struct yaml_config *yaml,
			struct config *into)
{
	int r = take_us(reading, "sharing.bound_us", yaml->sharing.bound_us, 50, &into->bound_ns);

	if (r == 0)
		r = take_us(reading, "sharing.grace_us", yaml->sharing.grace_us, 10,
			    &into->grace_ns);
	if (r == 0)
		r = take_number(reading, "limits.tenants_per_user", yaml->limits.tenants, 1, 1024,
				&into->max_tenants);
	if (r == 0)
		r = take_number(reading, "limits.connections_per_user", yaml->limits.connections, 1,
				65536, &into->max_connections);
	return r;
}

static int take_words(const struct reading *reading, const struct yaml_config *yaml,
		      struct config *into)
{
	int level = (int)into->log_level, mode = (int)into->mps_mode;
	int r = take_word(reading, "log", yaml->log, log_words, &level);

	if (r == 0)
		r = take_word(reading, "mps.mode", yaml->mps.mode, mode_words, &mode);
	if (r == 0)
		r = take_word(reading, "mps.multiuser", yaml->mps.multiuser, bool_words,
			      &into->mps_is_multiuser);
	if (r == 0)
		r = take_word(reading, "sharing.lend", yaml->sharing.lend, bool_words,
			      &into->lends);
	into->log_level = (enum log_level)level;
	into->mps_mode = (enum mps_mode)mode;
	return r;
}

static int take_texts(const struct reading *reading, const struct yaml_config *yaml,
		      struct config *into)
{
	int r = take_path(reading, "socket", yaml->socket, into->socket);

	if (r == 0)
		r = take_path(reading, "state", yaml->state, into->state);
	if (r == 0)
		r = take_path(reading, "mps.pipe_directory", yaml->mps.pipe_directory,
			      into->mps_pipe_directory);
	if (r == 0)
		r = take_path(reading, "mps.log_directory", yaml->mps.log_directory,
			      into->mps_log_directory);
	if (r == 0)
		r = take_mode(reading, yaml->socket_mode, &into->socket_mode);
	return r == 0 ? take_gpus(reading, yaml, into) : r;
}

static int take_yaml(const struct reading *reading, const struct yaml_config *yaml,
		     struct config *into)
{
	int r = check_version(reading, yaml);

	if (r == 0)
		r = take_numbers(reading, yaml, into);
	if (r == 0)
		r = take_words(reading, yaml, into);
	return r == 0 ? take_texts(reading, yaml, into) : r;
}

/* --- the interface ---------------------------------------------------------------------------- */

void config_defaults(struct config *config)
{
	*config = (struct config){.log_level = LOG_INFO,
				  .socket = "/run/lithos/lithosd.sock",
				  .socket_mode = 0666,
				  .state = "/var/lib/lithos/state.db",
				  .mps_mode = MPS_MODE_AUTO,
				  .mps_pipe_directory = "/run/lithos/mps",
				  .mps_log_directory = "/run/lithos/mps-log",
				  .mps_is_multiuser = 1,
				  .lends = 1,
				  .bound_ns = 100000,
				  .grace_ns = 200000,
				  .max_tenants = 128,
				  .max_connections = 1024};
}

int config_read(struct config *config, const char *path, char *error, size_t error_size)
{
	static struct reading reading;
	const cyaml_config_t how = {.log_fn = hear,
				    .log_ctx = &reading,
				    .mem_fn = cyaml_mem,
				    .log_level = CYAML_LOG_ERROR,
				    .flags = CYAML_CFG_NO_ALIAS};
	struct yaml_config *yaml = NULL;
	struct config read = *config;
	struct config_mark mark = {0};
	const char *problem = "";
	cyaml_err_t err;
	int r;

	memset(&reading, 0, sizeof(reading));
	reading.path = path;
	reading.error = error;
	reading.error_size = error_size;
	if (read_text(&reading) < 0)
		return -EINVAL;
	if (!config_mark_syntax(reading.text, reading.size, &mark, &problem))
		return say(&reading, mark, problem);
	err = cyaml_load_data((const uint8_t *)reading.text, reading.size, &how, &schema,
			      (cyaml_data_t **)&yaml, NULL);
	if (err != CYAML_OK)
		return say_library(&reading, err);
	r = take_yaml(&reading, yaml, &read);
	(void)cyaml_free(&how, &schema, yaml, 0);
	if (r == 0)
		*config = read;
	return r;
}

int config_parse_uuid(const char *text, size_t length, uint8_t ret_uuid[16])
{
	uint8_t uuid[16] = {0};
	size_t nr = 0;
	size_t i = length > 4 && strncmp(text, "GPU-", 4) == 0 ? 4 : 0;

	for (; i < length; i++) {
		int digit = hex_digit(text[i]);

		if (text[i] == '-')
			continue;
		if (digit < 0 || nr == 32)
			return -EINVAL;
		uuid[nr / 2] = (uint8_t)(uuid[nr / 2] << 4 | digit);
		nr++;
	}
	if (nr != 32)
		return -EINVAL;
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}
