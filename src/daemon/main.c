/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lithosd: command line, start, end.
 *
 * Start: configuration; the lock beside the socket, so that a second daemon ends before it touches
 * GPUs or state; GPUs found by a child; then state, MPS, socket, and READY=1. Tenants that are
 * waiting for a daemon retry, so nothing listens before all of it is there.
 *
 * End (SIGTERM, SIGINT): tenants go on with what they have. The state file stays for the next run,
 * and so does MPS, unless nobody is using it. A private daemon ends by itself when it has been
 * without tenants and connections for a while, and takes its files along. Ending MPS takes seconds,
 * so nobody is let in from the beginning of the end: a tenant would lose its daemon and its MPS.
 * The times are in order: MPS 9.5 s by its own limits, END_NS 10 s, the next daemon waits 15 s for
 * the lock, and `lithos run` waits longer than that for a daemon.
 *
 * It raises its own priority where it may: the death of a tenant should free its TPCs within
 * milliseconds on a machine that is busy with other things. Its children do not inherit that, nor
 * what a service manager has given it (SCHED_RESET_ON_FORK, before the first child is made).
 *
 * Tested by tests/integration/daemon_*.c and .bats.
 */
#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/options.h"
#include "base/std_descriptors.h"
#include "daemon/daemon.h"
#include "daemon/notify.h"
#include "daemon/tenant/returning.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"

#define CONFIG_NAME      "lithos/lithosd.yaml"
#define PRIVATE_IDLE_S   10
#define IDLE_LOOK_NS     250000000u
#define END_NS           10000000000u
#define MPS_QUIT_NS      4000000000u
#define MPS_SIGNAL_NS    500000000u
#define WANTED_PRIORITY  (-15)
#define EXIT_BAD_CONFIG  2
#define PROBE_DESCRIPTOR 3

enum {
	KEY_PRIVATE = 256,
	KEY_IDLE,
	KEY_SIM,
	KEY_CHECK,
	KEY_PROBE
};

struct args {
	const char *config;
	const char *socket;
	const char *state;
	int is_private;
	int is_simulated;
	int is_check;
	int is_probe;
	long idle_s; /* -1: not given */
};

/* What only main.c has to do with. */
struct run {
	struct daemon *daemon;
	struct args args;
	struct config as_read; /* from the file, before the command line changed it */
	struct loop_io signals;
	struct loop_timer idle;
	struct loop_timer watchdog;
	struct loop_timer end_limit;
	uint64_t idle_since_ns; /* 0: not idle */
	int exit_status;
	char locked[512]; /* why a GPU is another daemon's */
};

_Static_assert(END_NS > MPS_QUIT_NS + MPS_STOP_SIGNAL_TIMES * (uint64_t)MPS_SIGNAL_NS,
	       "MPS reports the end of its end before it is given up");

static struct daemon the_daemon;

/* --- command line ----------------------------------------------------------------------------- */

static const struct argp_option argp_options[] = {
	{"config", 'c', "FILE", 0,
	 "Configuration; default " CONFIG_NAME
	 " in etc beside the folder of this program, else in " LITHOS_SYSCONFDIR
	 " or /etc, if it is there",
	 0},
	{"socket", 's', "PATH", 0, "Where to listen", 0},
	{"state", KEY_PROBE + 1, "PATH", 0, "Where tenants are kept over a restart", 0},
	{"private", KEY_PRIVATE, NULL, 0,
	 "For one user: no configuration, state beside the socket, "
	 "ends when idle",
	 0},
	{"idle-exit", KEY_IDLE, "SECONDS", 0, "End after so long without tenants", 0},
	{"sim", KEY_SIM, NULL, 0, "Manage the simulated GPUs", 0},
	{"check-config", KEY_CHECK, NULL, 0, "Read the configuration, say what is wrong, end", 0},
	{"probe-gpus", KEY_PROBE, NULL, OPTION_HIDDEN, NULL, 0},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;
	char *end = NULL;

	switch (key) {
	case 'c':
		args->config = arg;
		return 0;
	case 's':
		args->socket = arg;
		return 0;
	case KEY_PROBE + 1:
		args->state = arg;
		return 0;
	case KEY_PRIVATE:
		args->is_private = 1;
		return 0;
	case KEY_IDLE:
		args->idle_s = strtol(arg, &end, 10);
		if (end == arg || *end || args->idle_s < 0 || args->idle_s > 86400)
			argp_error(state, "--idle-exit is 0 to 86400 seconds, not '%s'", arg);
		return 0;
	case KEY_SIM:
		args->is_simulated = 1;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case KEY_CHECK:
		args->is_check = 1;
		return 0;
	case KEY_PROBE:
		args->is_probe = 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse,
	.doc = "Manages the GPUs of this machine for programs started with `lithos run`.",
};

/* --- configuration ---------------------------------------------------------------------------- */

/* "<socket's folder>/<name>". */
static void beside(const struct config *config, const char *name, char *into)
{
	const char *slash = strrchr(config->socket, '/');
	int length = slash ? (int)(slash - config->socket) : 1;

	(void)snprintf(into, CONFIG_PATH_BYTES, "%.*s/%s", length, slash ? config->socket : ".",
		       name);
}

static int set_path(char *into, const char *path, const char *what)
{
	if (!path)
		return 0;
	if (strlen(path) >= CONFIG_PATH_BYTES) {
		log_line(NULL, LOG_ERROR, "msg=\"%s is too long\"", what);
		return -EINVAL;
	}
	(void)snprintf(into, CONFIG_PATH_BYTES, "%s", path);
	return 0;
}

/* Where the installation put it, which is known by where this program is. */
static int find_config(char path[CONFIG_PATH_BYTES])
{
	char self[CONFIG_PATH_BYTES];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *const folders[] = {self, LITHOS_SYSCONFDIR, "/etc"};

	self[length > 0 ? length : 0] = '\0';
	for (int i = 0; i < 2 && strrchr(self, '/'); i++)
		*strrchr(self, '/') = '\0';
	/* Below /usr it is /etc. */
	if (strcmp(self, "/usr") == 0)
		self[0] = '\0';
	if (strlen(self) + sizeof("/etc") <= sizeof(self))
		memcpy(self + strlen(self), "/etc", sizeof("/etc"));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int n = snprintf(path, CONFIG_PATH_BYTES, "%s/" CONFIG_NAME, folders[i]);

		if (n > 0 && n < CONFIG_PATH_BYTES && access(path, F_OK) == 0)
			return 1;
	}
	return 0;
}

static int read_file(struct config *config, const struct args *args)
{
	char found[CONFIG_PATH_BYTES];
	const char *path = args->config ? args->config : found;
	char error[1024];

	if (!args->config && (args->is_private || !find_config(found)))
		return 0;
	if (config_read(config, path, error, sizeof(error)) < 0) {
		log_line(NULL, LOG_ERROR, "%s", error);
		return -EINVAL;
	}
	return set_path(config->path, path, "the configuration's path");
}

static void make_private(struct config *config)
{
	config->is_private = 1;
	config->socket_mode = 0600;
	config->mps_is_multiuser = 0;
	config->idle_exit_s = PRIVATE_IDLE_S;
	(void)snprintf(config->state, sizeof(config->state), "%s", "");
	beside(config, "lithosd.db", config->state);
	beside(config, "mps", config->mps_pipe_directory);
	beside(config, "mps-log", config->mps_log_directory);
}

static void set_defaults(struct config *config, const struct args *args)
{
	memset(config, 0, sizeof(*config));
	config_defaults(config);
	/* Nothing simulated is served by MPS, unless the file says so. */
	if (args->is_simulated)
		config->mps_mode = MPS_MODE_OFF;
}

/* The command line wins over the file, the file over the defaults. */
static int configure(struct run *run)
{
	struct config *config = &run->daemon->config;
	const struct args *args = &run->args;

	set_defaults(config, args);
	if (read_file(config, args) < 0)
		return -EINVAL;
	run->as_read = *config;
	if (set_path(config->socket, args->socket, "the socket") < 0)
		return -EINVAL;
	if (args->is_private)
		make_private(config);
	if (args->idle_s >= 0)
		config->idle_exit_s = (uint32_t)args->idle_s;
	config->is_simulated = args->is_simulated;
	return set_path(config->state, args->state, "the state's path");
}

/* Where the environment says something about logging, it wins: it is nearer. */
static void set_log_level(const struct config *config)
{
	const char *word = options_environment("LITHOS_LOG");

	log_set_level(word ? log_level_from(word) : config->log_level);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void end_now(void *cookie)
{
	struct run *run = cookie;

	loop_stop(&run->daemon->loop);
}

static void begin_end(struct run *run, const char *why)
{
	struct daemon *daemon = run->daemon;

	if (daemon->is_ending)
		return;
	daemon->is_ending = 1;
	log_line(NULL, LOG_INFO, "msg=\"ending\" why=\"%s\" tenants=%u", why, daemon->nr_tenants);
	notify_send("STOPPING=1\nSTATUS=Ending");
	server_shut(daemon);
	admit_waiting(daemon);
	if (daemon->nr_tenants || mps_state(&daemon->mps) == MPS_OFF) {
		mps_stop(&daemon->mps, 0);
		loop_stop(&daemon->loop);
		return;
	}
	run->end_limit = (struct loop_timer){.on_time = end_now, .cookie = run};
	if (loop_timer_add(&daemon->loop, &run->end_limit) < 0 ||
	    loop_timer_set(&run->end_limit, END_NS, 0) < 0)
		loop_stop(&daemon->loop);
	/* MPS_OFF or MPS_FAILED ends the loop. */
	mps_stop(&daemon->mps, 1);
}

static void fail(struct run *run, const char *what, const char *why)
{
	log_line(NULL, LOG_ERROR, "msg=\"%s\" reason=\"%s\"", what, why);
	run->exit_status = EXIT_FAILURE;
	run->daemon->is_ending = 1;
	loop_stop(&run->daemon->loop);
}

/* --- signals and times ------------------------------------------------------------------------ */

static void read_again(struct run *run)
{
	const char *path = run->daemon->config.path;
	struct config config;
	char error[1024], keys[512];

	if (!path[0])
		return;
	set_defaults(&config, &run->args);
	if (config_read(&config, path, error, sizeof(error)) < 0) {
		log_line(NULL, LOG_ERROR, "%s", error);
		return;
	}
	set_log_level(&config);
	log_line(NULL, LOG_INFO, "msg=\"log level read again\"");
	if (config_restart_keys(&run->as_read, &config, keys, sizeof(keys)))
		log_line(NULL, LOG_WARN,
			 "msg=\"changed, and counts from the next start on\" keys=\"%s\"", keys);
}

static void on_signal(void *cookie, uint32_t events)
{
	struct run *run = cookie;
	struct signalfd_siginfo info;

	(void)events;
	if (read(run->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		read_again(run);
	else
		begin_end(run, "signal");
}

static int watch_signals(struct run *run)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	run->signals = (struct loop_io){.on_ready = on_signal, .cookie = run};
	run->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (run->signals.fd < 0)
		return -errno;
	return loop_add(&run->daemon->loop, &run->signals, EPOLLIN);
}

static void look_if_idle(void *cookie)
{
	struct run *run = cookie;
	const struct daemon *daemon = run->daemon;
	uint64_t now = clock_now_ns();

	if (daemon->nr_tenants || daemon->server.nr_connections) {
		run->idle_since_ns = 0;
		return;
	}
	if (!run->idle_since_ns)
		run->idle_since_ns = now;
	if (now - run->idle_since_ns >= daemon->config.idle_exit_s * 1000000000ull)
		begin_end(run, "idle");
}

static void feed_watchdog(void *cookie)
{
	(void)cookie;
	notify_send("WATCHDOG=1");
}

static int start_timers(struct run *run)
{
	struct loop *loop = &run->daemon->loop;
	uint64_t watchdog_ns = notify_watchdog_ns();
	int r = 0;

	run->idle = (struct loop_timer){.on_time = look_if_idle, .cookie = run};
	run->watchdog = (struct loop_timer){.on_time = feed_watchdog, .cookie = run};
	if (run->daemon->config.idle_exit_s) {
		r = loop_timer_add(loop, &run->idle);
		if (r == 0)
			r = loop_timer_set(&run->idle, IDLE_LOOK_NS, IDLE_LOOK_NS);
	}
	if (r == 0 && watchdog_ns) {
		r = loop_timer_add(loop, &run->watchdog);
		if (r == 0)
			r = loop_timer_set(&run->watchdog, watchdog_ns / 3, watchdog_ns / 3);
	}
	return r;
}

/* --- MPS -------------------------------------------------------------------------------------- */

/* A control that fails and is started again and again is away since its first failure. */
static void note_mps(struct daemon *daemon, enum mps_state state)
{
	int is_away = state == MPS_STARTING || state == MPS_DIED;

	if (!is_away)
		daemon->mps_away_ns = 0;
	else if (!daemon->mps_away_ns)
		daemon->mps_away_ns = clock_now_ns();
	if (!is_away)
		admit_waiting(daemon);
}

static void on_mps(void *cookie, const struct mps_change *change)
{
	struct run *run = cookie;
	struct daemon *daemon = run->daemon;
	int is_bad = change->lost_contexts || change->state == MPS_FAILED;

	log_line(NULL, is_bad ? LOG_WARN : LOG_INFO, "msg=\"%s\" mps=%s pid=%d", change->text,
		 mps_state_name(change->state), (int)change->pid);
	for (struct connection *c = daemon->server.connections; is_bad && c; c = c->next) {
		if (c->reserves)
			connection_notice(c, change->text);
	}
	note_mps(daemon, change->state);
	if (daemon->is_ending && (change->state == MPS_OFF || change->state == MPS_FAILED))
		loop_stop(&daemon->loop);
}

static int start_mps(struct run *run)
{
	struct daemon *daemon = run->daemon;
	const struct config *config = &daemon->config;
	struct mps_config how = {.mode = config->mps_mode,
				 .pipe_directory = config->mps_pipe_directory,
				 .log_directory = config->mps_log_directory,
				 .is_multiuser = config->mps_is_multiuser,
				 .limits = {.quit_ns = MPS_QUIT_NS, .signal_ns = MPS_SIGNAL_NS}};

	return mps_start(&daemon->mps, &daemon->loop, &how, on_mps, run);
}

/* --- the start -------------------------------------------------------------------------------- */

static int is_managed(const struct config *config, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < config->nr_gpus; i++) {
		if (memcmp(config->gpus[i], uuid, 16) == 0)
			return 1;
	}
	return config->nr_gpus == 0;
}

static int make_board(struct daemon *daemon, uint32_t index, const struct topology *topo)
{
	struct daemon_gpu *gpu = &daemon->gpu[index];
	int r = region_make(&gpu->board_region, "lithos-board", sizeof(*gpu->board), REGION_OURS);

	if (r < 0)
		return r;
	gpu->board = gpu->board_region.map;
	gpu->board->header = (struct shm_header){.magic = SHM_BOARD_MAGIC,
						 .version = SHM_VERSION,
						 .bytes = sizeof(*gpu->board),
						 .beat_ns = clock_now_ns(),
						 .daemon_id = daemon->id};
	memcpy(gpu->board->uuid, topo->uuid, sizeof(gpu->board->uuid));
	gpu->board->nr_tpcs = topo->nr_tpcs;
	gpu->board->sms_per_tpc = topo->sms_per_tpc;
	gpu->board->present = topo->present;
	return 0;
}

/* The lock of the GPU that comes next; said when another daemon has it. */
static int lock_gpu(struct run *run, const struct gpu_report *report)
{
	struct daemon *daemon = run->daemon;
	const char *device = options_environment("LITHOS_SIM_DEVICE");
	struct gpu_lock_place place = {.socket = daemon->config.socket};
	int r;

	if (daemon->config.is_simulated && (!device || !device[0]))
		return 0;
	if (daemon->config.is_simulated)
		place.simulation = device;
	if (daemon->ledger.nr_gpus >= LEDGER_MAX_GPUS)
		return 0;
	r = gpu_lock_take(&daemon->gpu[daemon->ledger.nr_gpus].lock, &daemon->loop,
			  report->topology.uuid, &place, run->locked, sizeof(run->locked));
	if (r < 0) {
		char uuid[UUID_TEXT_BYTES];

		log_line(NULL, LOG_ERROR, "msg=\"GPU left alone\" uuid=%s why=\"%s\"",
			 uuid_text(report->topology.uuid, uuid), run->locked);
	}
	return r;
}

static void on_gpu(void *cookie, const struct gpu_report *report)
{
	struct run *run = cookie;
	struct daemon *daemon = run->daemon;
	char uuid[UUID_TEXT_BYTES];
	int index;

	if (report->error) {
		log_line(NULL, LOG_WARN, "msg=\"GPU left alone\" ordinal=%u name=\"%s\" why=\"%s\"",
			 report->ordinal, report->name, report->text);
		return;
	}
	if (!is_managed(&daemon->config, report->topology.uuid) || lock_gpu(run, report) < 0)
		return;
	index = ledger_add_gpu(&daemon->ledger, &report->topology);
	if (index < 0) {
		if (daemon->ledger.nr_gpus < LEDGER_MAX_GPUS)
			gpu_lock_release(&daemon->gpu[daemon->ledger.nr_gpus].lock);
		log_line(NULL, LOG_WARN, "msg=\"GPU left alone\" ordinal=%u why=\"%s\"",
			 report->ordinal, strerror(-index));
		return;
	}
	(void)snprintf(daemon->gpu[index].name, GPU_NAME_BYTES, "%s", report->name);
	if (make_board(daemon, (uint32_t)index, &report->topology) < 0) {
		fail(run, "no memory for a board", report->name);
		return;
	}
	log_line(NULL, LOG_INFO, "msg=\"GPU managed\" uuid=%s name=\"%s\" tpcs=%u",
		 uuid_text(report->topology.uuid, uuid), report->name, report->topology.nr_tpcs);
}

static int start_serving(struct run *run, int *ret_nr_loaded)
{
	struct daemon *daemon = run->daemon;
	int r = watch_open(daemon);

	if (r < 0)
		return r;
	r = state_open(daemon, daemon->config.state);
	if (r < 0)
		log_line(NULL, LOG_WARN, "msg=\"no state is kept\" path=\"%s\"",
			 daemon->config.state);
	*ret_nr_loaded = state_load(daemon);
	r = start_mps(run);
	if (r < 0)
		return r;
	r = server_open(daemon);
	if (r == 0)
		r = start_timers(run);
	return r == 0 && *ret_nr_loaded > 0 ? returning_begin(daemon) : r;
}

static void on_gpus_known(void *cookie, const char *problem)
{
	struct run *run = cookie;
	struct daemon *daemon = run->daemon;
	int nr_loaded = 0;
	char text[128];
	int r;

	if (daemon->is_ending)
		return;
	if (problem)
		log_line(NULL, LOG_ERROR, "msg=\"GPUs\" problem=\"%s\"", problem);
	if (!daemon->ledger.nr_gpus) {
		fail(run, "no GPU to manage",
		     run->locked[0] ? run->locked
		     : problem      ? problem
				    : "none passed the self-test");
		return;
	}
	r = start_serving(run, &nr_loaded);
	if (r < 0) {
		fail(run, "cannot start", strerror(-r));
		return;
	}
	log_line(NULL, LOG_INFO, "msg=\"ready\" socket=\"%s\" gpus=%u tenants=%d",
		 daemon->config.socket, daemon->ledger.nr_gpus, nr_loaded);
	(void)snprintf(text, sizeof(text), "READY=1\nSTATUS=Managing %u GPUs",
		       daemon->ledger.nr_gpus);
	notify_send(text);
}

/* Descriptors: two a tenant, more a process; SCM_RIGHTS in flight count against the limit, too. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Not for children: the probe, MPS and helpers run as anything else does. */
static void raise_priority(void)
{
	struct sched_param plain = {0};

	(void)sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &plain);
	if (setpriority(PRIO_PROCESS, 0, WANTED_PRIORITY) < 0)
		log_line(NULL, LOG_INFO, "msg=\"runs at the usual priority\" reason=\"%s\"",
			 strerror(errno));
}

static int serve(struct run *run)
{
	struct daemon *daemon = run->daemon;
	int r;

	daemon->start_ns = clock_now_ns();
	if (getrandom(&daemon->id, sizeof(daemon->id), 0) != (ssize_t)sizeof(daemon->id))
		daemon->id = daemon->start_ns;
	r = loop_init(&daemon->loop);
	if (r == 0)
		r = server_lock(daemon);
	if (r == 0)
		r = watch_signals(run);
	raise_priority();
	daemon->gpus = (struct gpus){.on_gpu = on_gpu, .on_end = on_gpus_known, .cookie = run};
	if (r == 0)
		r = gpus_find(&daemon->gpus, &daemon->loop, daemon->config.is_simulated);
	/* After the child was started, which does not need it. */
	raise_limits();
	if (r == 0)
		r = loop_run(&daemon->loop);
	return r;
}

/* Without its folder a socket's error says nothing: it is named. */
static const char *start_problem(struct run *run, int error)
{
	(void)snprintf(run->locked, sizeof(run->locked), "%s: %s", run->daemon->config.socket,
		       strerror(-error));
	return error == -ENOENT || error == -EACCES || error == -EROFS ? run->locked
								       : strerror(-error);
}

static void remove_private_files(const struct config *config)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[CONFIG_PATH_BYTES + 8];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", config->state, ends[i]);
		(void)unlink(path);
	}
}

static void close_everything(struct run *run)
{
	struct daemon *daemon = run->daemon;
	int had_tenants = daemon->nr_tenants > 0;

	gpus_close(&daemon->gpus);
	mps_fini(&daemon->mps);
	state_flush(daemon);
	server_close(daemon);
	unattached_close(daemon);
	watch_close(daemon);
	state_close(daemon);
	if (daemon->config.is_private && !had_tenants && run->exit_status == 0)
		remove_private_files(&daemon->config);
	server_unlock(daemon);
	loop_fini(&daemon->loop);
}

int main(int argc, char **argv)
{
	struct run run = {.daemon = &the_daemon, .args = {.idle_s = -1}};
	int r;

	if (std_descriptors_open() < 0)
		return EXIT_FAILURE;
	argp_program_version = "lithosd " LITHOS_VERSION;
	(void)signal(SIGXFSZ, SIG_IGN); /* a file that cannot grow is an error like any other */
	if (argp_parse(&argp, argc, argv, 0, NULL, &run.args) != 0)
		return EXIT_BAD_CONFIG;
	if (run.args.is_probe)
		_exit(gpus_probe_main(PROBE_DESCRIPTOR));
	if (configure(&run) < 0)
		return EXIT_BAD_CONFIG;
	set_log_level(&the_daemon.config);
	if (run.args.is_check)
		return EXIT_SUCCESS;
	r = serve(&run);
	if (r < 0)
		fail(&run, "cannot run",
		     r == -EADDRINUSE ? "another lithosd serves this socket"
				      : start_problem(&run, r));
	close_everything(&run);
	return run.exit_status;
}
