/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of MPS.
 *
 * Problem: MPS must go when nobody needs it, without an end that waits for a control that does not
 * answer, and without a signal to a process of somebody else. It must stay when the daemon ends
 * while programs run, since they would lose their contexts.
 *
 * Idea: three steps, each with a deadline. `quit` by the control's own program, which lets the
 * control end its servers; SIGTERM; SIGKILL. Everything that ends on the way calls
 * mps_stop_go_on(), which is done when nothing is left. Signals go through pidfds of processes that
 * were checked to be MPS of this pipe directory. A start that is under way is waited for (by the
 * deadline of `quit`), since a control that has just left its launcher can only be found by its pid
 * file.
 *
 * What it does badly: a server that nobody had looked at when its control died is not known and
 * stays; servers are looked for once more before signals, so this takes a control that dies on
 * `quit` within 10 ms of starting a server.
 *
 * Tested by tests/integration/mps_life.c.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/mps/mps_parts.h"

#define LOOK_NS    (10 * MS)
#define KILL_WAITS (MPS_STOP_SIGNAL_TIMES - 1) /* times longer than after SIGTERM */

void mps_signal(const struct loop_process *process, int number)
{
	(void)syscall(SYS_pidfd_send_signal, process->io.fd, number, NULL, 0u);
}

static int is_anything_left(const struct mps *mps)
{
	return mps->control_pid != 0 || mps_servers_any(mps) != 0 || mps->launcher.pid != 0 ||
	       mps->quitter.pid != 0 || mps->is_starting;
}

static void on_quitter_exit(void *cookie)
{
	struct mps_helper *quitter = cookie;

	(void)mps_reap_helper(quitter);
	mps_stop_go_on(quitter->mps);
}

/* When it cannot be sent, the next step comes at its time. */
static void send_quit(struct mps *mps)
{
	const char *const argv[] = {mps->binary, NULL};

	mps->quit_sent = 1;
	mps->quitter.process.on_exit = on_quitter_exit;
	(void)mps_spawn_helper(mps, &mps->quitter, argv, "quit\n");
}

void mps_stop_go_on(struct mps *mps)
{
	/* The control ends its servers on `quit`: the last time to see them. */
	(void)mps_servers_look(mps);
	if (mps->control_pid == 0 && mps_find_control(mps))
		mps->is_starting = 0;
	if (mps->control_pid != 0 && mps->step == MPS_STOP_QUIT && !mps->quit_sent)
		send_quit(mps);
	if (is_anything_left(mps))
		return;
	mps_fini(mps);
	mps_report(mps, MPS_OFF, 0, "MPS has ended");
}

static void signal_all(struct mps *mps, int number)
{
	/* The control first, or it would replace its server. */
	if (mps->control_pid != 0)
		mps_signal(&mps->control, number);
	mps_servers_signal(mps, number);
}

void mps_stop_limit(struct mps *mps)
{
	pid_t left = mps->control_pid != 0 ? mps->control_pid : mps_servers_any(mps);

	(void)mps_servers_look(mps);
	switch (mps->step) {
	case MPS_STOP_QUIT:
		mps->step = MPS_STOP_TERM;
		mps->is_starting = 0;
		mps_kill_helper(&mps->launcher);
		mps_kill_helper(&mps->quitter);
		signal_all(mps, SIGTERM);
		break;
	case MPS_STOP_TERM:
		mps->step = MPS_STOP_KILL;
		signal_all(mps, SIGKILL);
		break;
	default:
		mps_fini(mps);
		mps_report(mps, MPS_FAILED, left,
			   "MPS could not be ended: a process (pid %d) does not die", (int)left);
		return;
	}
	/* The end of a process with GPU contexts takes the driver a while. */
	(void)loop_timer_set(&mps->limit,
			     mps->step == MPS_STOP_KILL ? KILL_WAITS * mps->limits.signal_ns
							: mps->limits.signal_ns,
			     0);
	mps_stop_go_on(mps);
}

void mps_stop(struct mps *mps, int force)
{
	pid_t control = mps->control_pid;

	if (mps->loop == NULL || mps->step != MPS_STOP_NONE)
		return;
	if (!mps->has_timers || !force) {
		mps_fini(mps);
		if (control != 0)
			mps_report(mps, MPS_OFF, control,
				   "MPS is left running (control daemon pid %d)", (int)control);
		else
			mps_report(mps, MPS_OFF, 0, "MPS is not used any more");
		return;
	}
	mps->step = MPS_STOP_QUIT;
	mps->quit_sent = 0;
	(void)loop_timer_stop(&mps->retry);
	(void)loop_timer_set(&mps->limit, mps->limits.quit_ns, 0);
	(void)loop_timer_set(&mps->look, LOOK_NS, LOOK_NS);
	mps_stop_go_on(mps);
}
