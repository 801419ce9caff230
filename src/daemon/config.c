/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lithosd.yaml.
 *
 * The schema below is the list of keys; libcyaml checks the text against it and fills a struct of
 * optional values, which are then checked and copied over the defaults. Nothing is guessed: an
 * unknown key, a value of another kind or out of range, a missing version are errors with the place
 * in the file, and the daemon does not start. All errors read FILE:LINE:COLUMN: sentence.
 *
 * Booleans are words (yes, no, true, false), because libcyaml takes any text for true.
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
	enum mps_mode *mode;
	char *pipe_directory;
	char *log_directory;
	int *multiuser;
};

struct yaml_sharing {
	int *lend;
	uint32_t *bound_us;
	uint32_t *grace_us;
};

struct yaml_limits {
	uint32_t *tenants;
	uint32_t *connections;
};

struct yaml_config {
	char *version;
	enum log_level *log;
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
#define STRICT_PTR   (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER | CYAML_FLAG_STRICT)
#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

static const cyaml_strval_t log_words[] = {{"off", LOG_OFF},
					   {"error", LOG_ERROR},
					   {"warn", LOG_WARN},
					   {"info", LOG_INFO},
					   {"debug", LOG_DEBUG}};
static const cyaml_strval_t mode_words[] = {
	{"auto", MPS_MODE_AUTO}, {"off", MPS_MODE_OFF}, {"required", MPS_MODE_REQUIRED}};
static const cyaml_strval_t bool_words[] = {{"no", 0}, {"yes", 1}, {"false", 0}, {"true", 1}};

static const cyaml_schema_field_t mps_fields[] = {
	CYAML_FIELD_ENUM_PTR("mode", STRICT_PTR, struct yaml_mps, mode, mode_words,
			     NR_OF(mode_words)),
	CYAML_FIELD_STRING_PTR("pipe_directory", OPTIONAL_PTR, struct yaml_mps, pipe_directory, 1,
			       CONFIG_PATH_BYTES - 1),
	CYAML_FIELD_STRING_PTR("log_directory", OPTIONAL_PTR, struct yaml_mps, log_directory, 1,
			       CONFIG_PATH_BYTES - 1),
	CYAML_FIELD_ENUM_PTR("multiuser", STRICT_PTR, struct yaml_mps, multiuser, bool_words,
			     NR_OF(bool_words)),
	CYAML_FIELD_END};

static const cyaml_schema_field_t sharing_fields[] = {
	CYAML_FIELD_ENUM_PTR("lend", STRICT_PTR, struct yaml_sharing, lend, bool_words,
			     NR_OF(bool_words)),
	CYAML_FIELD_UINT_PTR("bound_us", OPTIONAL_PTR, struct yaml_sharing, bound_us),
	CYAML_FIELD_UINT_PTR("grace_us", OPTIONAL_PTR, struct yaml_sharing, grace_us),
	CYAML_FIELD_END};

static const cyaml_schema_field_t limits_fields[] = {
	CYAML_FIELD_UINT_PTR("tenants_per_user", OPTIONAL_PTR, struct yaml_limits, tenants),
	CYAML_FIELD_UINT_PTR("connections_per_user", OPTIONAL_PTR, struct yaml_limits, connections),
	CYAML_FIELD_END};

static const cyaml_schema_value_t gpu_item = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, CONFIG_PATH_BYTES)};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("version", CYAML_FLAG_POINTER, struct yaml_config, version, 0, 64),
	CYAML_FIELD_ENUM_PTR("log", STRICT_PTR, struct yaml_config, log, log_words,
			     NR_OF(log_words)),
	CYAML_FIELD_STRING_PTR("socket", OPTIONAL_PTR, struct yaml_config, socket, 1,
			       CONFIG_PATH_BYTES - 1),
	CYAML_FIELD_STRING_PTR("socket_mode", OPTIONAL_PTR, struct yaml_config, socket_mode, 1, 8),
	CYAML_FIELD_STRING_PTR("state", OPTIONAL_PTR, struct yaml_config, state, 0,
			       CONFIG_PATH_BYTES - 1),
	CYAML_FIELD_SEQUENCE("gpus", OPTIONAL_PTR, struct yaml_config, gpus, &gpu_item, 0,
			     CONFIG_MAX_GPUS),
	CYAML_FIELD_MAPPING("mps", OPTIONAL, struct yaml_config, mps, mps_fields),
	CYAML_FIELD_MAPPING("sharing", OPTIONAL, struct yaml_config, sharing, sharing_fields),
	CYAML_FIELD_MAPPING("limits", OPTIONAL, struct yaml_config, limits, limits_fields),
	CYAML_FIELD_END};

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

static int read_text(struct reading *reading)
{
	int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, reading->text, sizeof(reading->text));
	int r = n < 0 ? errno : 0;

	if (fd >= 0)
		(void)close(fd);
	if (r)
		(void)snprintf(reading->error, reading->error_size, "%s: %s", reading->path,
			       strerror(r));
	else if ((size_t)n == sizeof(reading->text))
		(void)snprintf(reading->error, reading->error_size, "%s: too long", reading->path);
	else
		reading->size = (size_t)n;
	return r || (size_t)n == sizeof(reading->text) ? -EINVAL : 0;
}

/* --- checks ----------------------------------------------------------------------------------- */

static int take_number(const struct reading *reading, const char *path, const uint32_t *value,
		       uint32_t low, uint32_t high)
{
	char what[MESSAGE_BYTES];

	if (!value || (*value >= low && *value <= high))
		return 0;
	(void)snprintf(what, sizeof(what), "%s is %u, not %u to %u", path, *value, low, high);
	return say_value(reading, path, -1, what);
}

static int take_path(const struct reading *reading, const char *path, const char *value, char *into)
{
	if (!value)
		return 0;
	if (value[0] && value[0] != '/')
		return say_value(reading, path, -1, "not an absolute path");
	(void)snprintf(into, CONFIG_PATH_BYTES, "%s", value);
	return 0;
}

static int take_mode(const struct reading *reading, const char *value, uint32_t *into)
{
	unsigned int mode = 0;

	if (!value)
		return 0;
	for (const char *p = value; *p; p++) {
		if (*p < '0' || *p > '7')
			return say_value(reading, "socket_mode", -1, "not an octal mode like 0666");
		mode = mode * 8 + (unsigned int)(*p - '0');
	}
	if (mode > 0777 || !(mode & 0600))
		return say_value(reading, "socket_mode", -1, "not an octal mode like 0666");
	*into = mode;
	return 0;
}

static int take_gpus(const struct reading *reading, const struct yaml_config *yaml,
		     struct config *into)
{
	for (uint32_t i = 0; i < yaml->gpus_count; i++) {
		if (config_parse_uuid(yaml->gpus[i], strlen(yaml->gpus[i]), into->gpus[i]) < 0)
			return say_value(reading, "gpus", (int)i,
					 "not a UUID as nvidia-smi -L shows it (GPU-...)");
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

static int check_numbers(const struct reading *reading, const struct yaml_config *yaml)
{
	int r = take_number(reading, "sharing.bound_us", yaml->sharing.bound_us, 50, 100000);

	if (r == 0)
		r = take_number(reading, "sharing.grace_us", yaml->sharing.grace_us, 10, 100000);
	if (r == 0)
		r = take_number(reading, "limits.tenants_per_user", yaml->limits.tenants, 1, 1024);
	if (r == 0)
		r = take_number(reading, "limits.connections_per_user", yaml->limits.connections, 1,
				65536);
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
		r = check_numbers(reading, yaml);
	if (r == 0)
		r = take_texts(reading, yaml, into);
	if (r < 0)
		return r;
	into->log_level = yaml->log ? *yaml->log : into->log_level;
	into->mps_mode = yaml->mps.mode ? *yaml->mps.mode : into->mps_mode;
	into->mps_is_multiuser =
		yaml->mps.multiuser ? *yaml->mps.multiuser : into->mps_is_multiuser;
	into->lends = yaml->sharing.lend ? *yaml->sharing.lend : into->lends;
	if (yaml->sharing.bound_us)
		into->bound_ns = *yaml->sharing.bound_us * 1000ull;
	if (yaml->sharing.grace_us)
		into->grace_ns = *yaml->sharing.grace_us * 1000ull;
	if (yaml->limits.tenants)
		into->max_tenants = *yaml->limits.tenants;
	if (yaml->limits.connections)
		into->max_connections = *yaml->limits.connections;
	return 0;
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
