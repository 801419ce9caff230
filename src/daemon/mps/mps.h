/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's MPS, as the daemon runs it: started, watched, restarted, ended.
 *
 * Glossary
 *   control   `nvidia-cuda-mps-control -d`: waits for programs on sockets of the pipe directory.
 *   server    `nvidia-cuda-mps-server`: a child of the control, which starts it at the first
 *             program. It owns the GPU contexts of the programs: when it dies, all of them lose
 *             theirs.
 *   orphan    a server whose control died. It goes on for the programs that it had; new programs
 *             get another server, and the two take turns on the GPU until the orphan's programs
 *             end.
 *
 * Users. Without `is_multiuser` the control runs one server, as the user of the first program, and
 * a program of another user waits until all programs of the first one have ended. With it, and only
 * for root, one server serves everybody; the control of old drivers does not know the option, and
 * is then started without. Root's directories can be entered by everybody, other users' by
 * themselves alone. A control that somebody else started, on the default directory or elsewhere, is
 * left alone; one that an earlier life of the daemon left on this pipe directory is adopted.
 *
 * Ends. mps_stop(mps, 0) lets go of MPS and leaves it running: for a daemon that ends while
 * programs run, which would lose their contexts. mps_stop(mps, 1) ends it.
 *
 * One thread; nothing here blocks; helper processes have deadlines. No GPU setting is changed, the
 * compute mode included.
 */
#ifndef LITHOS_DAEMON_MPS_H
#define LITHOS_DAEMON_MPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/loop.h"

#define MPS_PATH_BYTES  256u
#define MPS_TEXT_BYTES  512u
#define MPS_MAX_SERVERS 8u
#define MPS_MAX_STARTS  10u /* in a minute; then it has failed */

/* mps_stop(mps, 1) is over after quit_ns and so many times signal_ns: one for SIGTERM, ten for
 * SIGKILL. */
#define MPS_STOP_SIGNAL_TIMES 11u

enum mps_mode {
	MPS_MODE_AUTO,     /* without MPS when it cannot be had */
	MPS_MODE_OFF,      /* never */
	MPS_MODE_REQUIRED, /* mps_start() fails when it cannot be had */
};

enum mps_state {
	MPS_OFF,
	MPS_NO_BINARIES, /* nvidia-cuda-mps-control was not found */
	MPS_STARTING,
	MPS_NO_SERVER, /* the control waits for the first program */
	MPS_RUNNING,
	MPS_DIED,   /* the control is not there; it is started again in a moment */
	MPS_FAILED, /* given up */
};

/* 0 in a field: the default. */
struct mps_limits {
	uint64_t start_ns;       /* from fork to a control that listens; 10 s */
	uint64_t quit_ns;        /* for `quit`, before signals; 5 s */
	uint64_t signal_ns;      /* between SIGTERM and SIGKILL, and ten times that after it; 1 s */
	uint64_t backoff_ns;     /* before the second restart in a row, then doubled; 0.1 s */
	uint64_t backoff_max_ns; /* 5 s */
};

/* Strings are copied; NULL is as good as empty. */
struct mps_config {
	enum mps_mode mode;
	const char *binary; /* of the control; empty: PATH, then the usual folders */
	/* Made when missing; must then be ours and nobody else's to write */
	const char *pipe_directory;
	const char *log_directory;
	const char *visible_devices; /* CUDA_VISIBLE_DEVICES of MPS; empty: unset, all GPUs */
	int is_multiuser;            /* one server for all users; ignored unless root */
	struct mps_limits limits;
};

/* What the callback is told. */
struct mps_change {
	enum mps_state state;
	int lost_contexts; /* a server died: programs that were running on it are broken */
	pid_t pid;         /* of the process that the text is about; 0: none */
	const char *text;  /* a sentence for people; valid during the call */
};

struct mps;
/* After the state was entered. May call mps_stop(), not mps_fini(). */
typedef void mps_on_change(void *cookie, const struct mps_change *change);

struct mps_server {
	struct mps *mps;
	struct loop_process process;
	pid_t pid; /* 0: the place is free */
	int is_orphan;
};

/* A child of ours with a deadline. */
struct mps_helper {
	struct mps *mps;
	struct loop_process process;
	pid_t pid; /* 0: none */
};

enum mps_step {
	MPS_STOP_NONE,
	MPS_STOP_QUIT,
	MPS_STOP_TERM,
	MPS_STOP_KILL,
};

/* The caller's memory, all zero before mps_start(). For mps*.c only. */
struct mps {
	struct loop *loop;
	mps_on_change *on_change;
	void *cookie;
	enum mps_state state;
	enum mps_mode mode;
	struct mps_limits limits;
	char binary[MPS_PATH_BYTES];
	char pipe_directory[MPS_PATH_BYTES];
	char log_directory[MPS_PATH_BYTES];
	char visible_devices[MPS_PATH_BYTES];
	int is_multiuser;
	int has_timers;

	struct loop_process control;
	pid_t control_pid;         /* 0: none is watched */
	uint64_t control_since_ns; /* when it was found */
	struct mps_server server[MPS_MAX_SERVERS];

	struct mps_helper launcher; /* `nvidia-cuda-mps-control -d` until it has daemonised */
	struct mps_helper quitter;  /* `echo quit | nvidia-cuda-mps-control` */
	struct loop_timer look;     /* for the pid file, then for servers */
	struct loop_timer limit;    /* of a start, or of a step of the end */
	struct loop_timer retry;
	int is_starting;                   /* a launcher ran and no control has been found yet */
	unsigned int nr_failures;          /* in a row */
	uint64_t start_ns[MPS_MAX_STARTS]; /* the last starts, as a ring */
	unsigned int nr_starts;

	enum mps_step step;
	int quit_sent;
};

/*
 * Adopts the control of the pipe directory or begins to start one; the rest happens in the loop and
 * is told to the callback, which may run before this returns. 0, also when MPS cannot be had,
 * unless it is required: then -ENOENT (no binary) or what is wrong with the directories. -EINVAL,
 * -ENAMETOOLONG: the configuration; -errno: no timers. After an error mps_fini() has been done.
 */
int mps_start(struct mps *mps, struct loop *loop, const struct mps_config *config,
	      mps_on_change *on_change, void *cookie);

/*
 * force 0: lets go at once, whatever runs is left running. force 1: `quit`, then SIGTERM, then
 * SIGKILL, to the control and the servers that are watched. Over when the callback is told MPS_OFF,
 * or MPS_FAILED when something could not be ended; before this returns when there is nothing to
 * wait for.
 */
void mps_stop(struct mps *mps, int force);

/* Takes everything out of the loop; says and ends nothing. May follow at any time, more than
 * once. */
void mps_fini(struct mps *mps);

/* Looks for servers now: a program has just made a context, so one has started. */
void mps_look(struct mps *mps);

enum mps_state mps_state(const struct mps *mps);
/* A word: "off", "no-binaries", "starting", "ready", "running", "died", "failed". */
const char *mps_state_name(enum mps_state state);
/* A program that starts now will be served: the control is there, and is not being ended. */
int mps_is_serving(const struct mps *mps);
/* CUDA_MPS_PIPE_DIRECTORY for programs; "" when MPS is off, not installed or given up. */
const char *mps_pipe_directory(const struct mps *mps);
pid_t mps_control_pid(const struct mps *mps);
/* One that is no orphan; 0: none. */
pid_t mps_server_pid(const struct mps *mps);

#endif
