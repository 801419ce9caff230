/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos run`: a program as a tenant.
 *
 * Nothing here touches the GPU. lithosd is asked for a reservation (run/reservation.h); the program
 * is started with the shim's folder first on LD_LIBRARY_PATH and what it was given in the
 * environment, both inherited by its own children; afterwards the statistics that each of its
 * processes left in the run directory are merged and printed. Wishes are checked before the program
 * starts, because a tenant that silently runs without its quota is worse than one that does not
 * run. Options of later parts are refused for the same reason.
 *
 * A `lithos run` inside a tenant's program starts more of that tenant, unless it wishes for
 * something of its own.
 *
 * Tested by tests/integration/cli_run.bats, cli_stats.bats, cli_tenant.bats and cli_private.bats.
 */
#include <argp.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "cli/run/child.h"
#include "cli/run/environment.h"
#include "cli/run/escape.h"
#include "cli/run/gpus.h"
#include "cli/run/reservation.h"
#include "cli/run/run_dir.h"
#include "cli/run/summary.h"
#include "sched/quota.h"

enum {
	KEY_STATS = 256,
	KEY_STATS_FILE,
	KEY_PROFILE,
	KEY_SIM,
	KEY_GPU,
	KEY_NO_MPS,
	KEY_STRICT,
	KEY_SLO,
	KEY_SLIP,
	KEY_MEMORY
};

struct run_args {
	const char *tenant;
	const char *quota;
	const char *priority;
	const char *gpu;
	const char *stats_file;
	enum format stats_format;
	int has_stats;
	int has_profile;
	int has_sim;
	int avoids_mps;
	int is_strict;
	char **command;
};

static const struct argp_option argp_options[] = {
	{"tenant", 't', "NAME", 0, "Name of the tenant, for people", 0},
	{"quota", 'q', "TPCS|PERCENT%", 0,
	 "TPCs guaranteed to the program, as a number or a share. Without: best effort, what "
	 "others "
	 "do not need, which is the whole GPU for a program alone",
	 0},
	{"priority", 'p', "0-1000", 0, "Who goes first among those who borrow; higher wins", 0},
	{"gpu", KEY_GPU, "N|UUID", 0,
	 "The GPU to run on, as CUDA numbers them or by its UUID; sets CUDA_VISIBLE_DEVICES", 0},
	{"stats", KEY_STATS, "table|json", OPTION_ARG_OPTIONAL,
	 "Print at exit, on stderr, what each kernel took", 0},
	{"stats-file", KEY_STATS_FILE, "PATH", 0, "Print the statistics into a file instead", 0},
	{"profile", KEY_PROFILE, NULL, 0,
	 "Leave the driver's launch hook to profilers: no quota, no statistics", 0},
	{"no-mps", KEY_NO_MPS, NULL, 0,
	 "Stay away from MPS, whose programs cannot launch kernels from kernels (error 811); the "
	 "GPU then alternates between this program and the others",
	 0},
	{"sim", KEY_SIM, NULL, 0, "Use the simulated GPU", 0},
	{"strict", KEY_STRICT, NULL, 0,
	 "End processes of the program that have the driver without lithos, and exit with 125", 0},
	{"slo", KEY_SLO, "MS", OPTION_HIDDEN, "Comes with a later part; refused", 0},
	{"slip", KEY_SLIP, "FACTOR", OPTION_HIDDEN, "Comes with a later part; refused", 0},
	{"memory", KEY_MEMORY, "SIZE", OPTION_HIDDEN, "Comes with a later part; refused", 0},
	{0},
};

static const char *later_option(int key)
{
	switch (key) {
	case KEY_SLO:
		return "--slo (a latency to hold) comes with a later part, on prediction and "
		       "right-sizing,";
	case KEY_SLIP:
		return "--slip (accepted slowdown) comes with a later part, on prediction and "
		       "right-sizing,";
	case KEY_MEMORY:
		return "--memory (a limit of GPU memory) comes with a later part, on memory,";
	default:
		return NULL;
	}
}

static void take_command(struct run_args *args, struct argp_state *state)
{
	args->command = &state->argv[state->next - 1];
	state->next = state->argc;
}

static void take_stats(struct run_args *args, const char *arg, struct argp_state *state)
{
	args->has_stats = 1;
	if (arg != NULL && format_from(arg, &args->stats_format) < 0)
		argp_error(state, "--stats is 'table' or 'json', not '%s'", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run_args *args = state->input;

	switch (key) {
	case 't':
		args->tenant = arg;
		return 0;
	case 'q':
		args->quota = arg;
		return 0;
	case 'p':
		args->priority = arg;
		return 0;
	case KEY_GPU:
		args->gpu = arg;
		return 0;
	case KEY_STATS:
		take_stats(args, arg, state);
		return 0;
	case KEY_STATS_FILE:
		args->has_stats = 1;
		args->stats_file = arg;
		return 0;
	case KEY_PROFILE:
		args->has_profile = 1;
		return 0;
	case KEY_SIM:
		args->has_sim = 1;
		return 0;
	case KEY_NO_MPS:
		args->avoids_mps = 1;
		return 0;
	case KEY_STRICT:
		args->is_strict = 1;
		return 0;
	case ARGP_KEY_ARG:
		take_command(args, state);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no program given");
		return EINVAL;
	default:
		if (later_option(key) == NULL)
			return ARGP_ERR_UNKNOWN;
		argp_error(state, "%s and has no effect yet", later_option(key));
		return EINVAL;
	}
}

/* NULL for a name that people, logs and metrics can carry as it is; else what is wrong. */
static const char *wrong_in_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-+:@/";

	if (strlen(name) >= PROTO_NAME_BYTES)
		return "is longer than 63 characters";
	if (name[strspn(name, allowed)] != '\0')
		return "has more than letters, digits and . _ - + : @ /";
	return NULL;
}

/* What cannot be seen from one option alone. */
static int check_args(const struct run_args *args)
{
	struct quota quota;
	int r;

	if (args->quota != NULL && quota_parse(args->quota, &quota) < 0) {
		cli_error(
			"--quota '%s' is neither a number of TPCs (33) nor a share (1%% to 100%%)",
			args->quota);
		return -EINVAL;
	}
	if (args->tenant != NULL && args->tenant[0] == '\0') {
		cli_error("--tenant wants a name");
		return -EINVAL;
	}
	if (args->gpu != NULL && !gpus_is_one(args->gpu)) {
		cli_error("--gpu '%s' is neither a GPU's number (0) nor its UUID (GPU-..., "
			  "nvidia-smi -L lists them)",
			  args->gpu);
		return -EINVAL;
	}
	r = args->stats_file != NULL ? output_check(args->stats_file) : 0;
	if (r < 0) {
		cli_error("--stats-file '%s' cannot be written: %s", args->stats_file,
			  strerror(-r));
		return r;
	}
	if (args->has_profile && (args->quota != NULL || args->has_stats)) {
		cli_error("--profile leaves the launch hook out, so --quota and --stats cannot "
			  "work with it");
		return -EINVAL;
	}
	return 0;
}

/* The options as they will be in the program: bad values are refused here, in words. */
static int read_options(struct options *ret_options)
{
	struct quota quota;
	char text[512];
	const char *wrong;

	if (options_read(ret_options, text, sizeof(text)) != 0) {
		cli_error("%s", text);
		return -EINVAL;
	}
	if (ret_options->tpc_quota[0] != '\0' && quota_parse(ret_options->tpc_quota, &quota) < 0) {
		cli_error("LITHOS_TPC_QUOTA: '%s' is neither a number of TPCs (33) nor a share "
			  "(1%% to 100%%)",
			  ret_options->tpc_quota);
		return -EINVAL;
	}
	wrong = wrong_in_name(ret_options->tenant);
	if (wrong == NULL)
		return 0;
	cli_error("the tenant's name '%s' %s", ret_options->tenant, wrong);
	return -EINVAL;
}

static int set_wishes(const struct run_args *args, const char *run_dir)
{
	int r = args->has_sim ? environment_set_sim() : 0;

	if (r == 0)
		r = environment_set("tenant", args->tenant);
	if (r == 0)
		r = environment_set("tpc_quota", args->quota);
	if (r == 0)
		r = environment_set("priority", args->priority);
	if (r == 0 && args->gpu != NULL)
		r = environment_set_gpu(args->gpu);
	if (r == 0)
		r = environment_set("profile", args->has_profile ? "1" : NULL);
	if (r == 0)
		r = environment_set("stats", args->has_stats ? "1" : NULL);
	if (r == 0)
		r = environment_set("run_dir", run_dir);
	return r;
}

static int has_wishes(const struct run_args *args)
{
	return args->tenant != NULL || args->quota != NULL || args->priority != NULL ||
	       args->gpu != NULL;
}

/* A reservation, or a reason why there is to be none. */
static int reserve(const struct run_args *args, const struct options *options,
		   struct reservation *reservation)
{
	int is_alone = strcmp(options->socket, FIND_NO_DAEMON) == 0 || options->disable;

	if (is_alone || options->profile || (environment_is_tenant() && !has_wishes(args))) {
		if (options->profile && !is_alone)
			cli_error("--profile: no lithosd is asked, the program runs unconfined");
		return 0;
	}
	return reservation_take(reservation, options);
}

static int find_shim(char *ret_folder, size_t size)
{
	int r = paths_shim_folder(ret_folder, size);

	if (r < 0)
		cli_error("no %s in %s: lithos is not completely built or installed", PATHS_LIBRARY,
			  ret_folder);
	return r;
}

/* The shim's folder comes last: a daemon that is started here must not get it. */
static int prepare(const struct run_args *args, const char *run_dir,
		   struct reservation *reservation)
{
	struct options options;
	char folder[PATHS_MAX];
	int r = find_shim(folder, sizeof(folder));

	if (environment_is_tenant() && has_wishes(args))
		environment_leave_tenant();
	if (r == 0)
		r = set_wishes(args, run_dir);
	if (r == 0)
		r = read_options(&options);
	if (r == 0)
		r = reserve(args, &options, reservation);
	if (r == 0)
		r = environment_set_reservation(reservation);
	if (r == 0)
		r = environment_set_library_path(folder);
	return r;
}

static unsigned int terminal_width(FILE *file)
{
	struct winsize size;

	return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* A failure here is said, but does not change the program's own exit code. */
static void print_stats(const struct run_args *args, const char *run_dir)
{
	struct summary summary;
	FILE *file = stderr;
	int r = summary_read_folder(&summary, run_dir);

	if (r == 0 && args->stats_file != NULL) {
		file = fopen(args->stats_file, "we");
		r = file == NULL ? -errno : 0;
	}
	if (r == 0)
		r = summary_print(&summary, args->stats_format, terminal_width(file), file);
	if (file != NULL && file != stderr && fclose(file) != 0 && r == 0)
		r = -errno;
	if (r < 0)
		cli_error("cannot write the statistics to %s: %s",
			  args->stats_file != NULL ? args->stats_file : "standard error",
			  strerror(-r));
	summary_free(&summary);
}

/* The program from its reservation to its statistics; the exit code. */
static int run_program(const struct run_args *args, const char *run_dir)
{
	struct reservation reservation;
	struct escape escape;
	int code = EXIT_RUN_LITHOS;
	int r;

	reservation_init(&reservation);
	reservation.choice.is_option = args->gpu != NULL;
	reservation.avoids_mps = args->avoids_mps;
	r = prepare(args, run_dir, &reservation);
	if (r == 0) {
		struct child_watch *watch[] = {&reservation.watch, &escape.watch};

		escape_begin(&escape, &reservation, args->is_strict);
		code = child_run(args->command, watch, environment_is_confined() ? 2 : 1);
	}
	if (r == 0 && environment_is_confined() && escape_end(&escape) > 0 && args->is_strict)
		code = EXIT_RUN_LITHOS;
	reservation_end(&reservation);
	if (r == 0 && args->has_stats)
		print_stats(args, run_dir);
	return code;
}

int verb_run(int argc, char **argv)
{
	static const struct argp argp = {argp_options,
					 parse,
					 "[--] PROGRAM [ARGUMENT...]",
					 "Runs a program and its children on a part of the GPU. "
					 "Exits as the program does; 125 "
					 "when lithos fails or lithosd refuses, 126 when the "
					 "program cannot be "
					 "executed, 127 when it is not found, "
					 "128+N after signal N.",
					 help_children,
					 NULL,
					 NULL};
	struct run_args args = {.stats_format = FORMAT_TABLE};
	char run_dir[PATHS_MAX];
	int lock = -1;
	int code;
	int r;

	argp_err_exit_status = EXIT_RUN_LITHOS;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args) != 0 || check_args(&args) < 0)
		return EXIT_RUN_LITHOS;
	r = run_dir_make(run_dir, sizeof(run_dir), &lock);
	if (r < 0) {
		cli_error("cannot make a folder in $XDG_RUNTIME_DIR, $TMPDIR or /tmp: %s",
			  strerror(-r));
		return EXIT_RUN_LITHOS;
	}
	code = run_program(&args, run_dir);
	run_dir_remove(run_dir, lock);
	return code;
}
