/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offset between the GPU's nanosecond clock and CLOCK_MONOTONIC.
 *
 * Problem: completion records carry the GPU's clock. A queueing time (submitted on the CPU, ended
 * on the GPU) needs both clocks on one scale, and no driver call tells the offset.
 *
 * Idea: cause and effect. A launch cannot end before it was submitted, and cannot be seen to have
 * ended before it ended. With offset = CPU - GPU, each record therefore says submitted_cpu -
 * gpu_end <= offset <= polled_cpu - gpu_end. The tightest bounds seen are kept, and the estimate is
 * their midpoint. Short kernels are good witnesses: 5 us from submission to completion, polled
 * every 10 us, gives 15 us between the bounds of a single record, and among many records the best
 * of each side, often under 7 us; so the error is a few us.
 *
 * Drift: the two oscillators differ, and NTP slews CLOCK_MONOTONIC, by up to DRIFT_PPM = 100
 * together. A bound that was true a seconds ago is true now after giving way by 100 us per second
 * of age, so bounds are compared, and used, after ageing: a fresh record replaces an old bound as
 * soon as it is tighter than what the old one is still worth. Example: a bound of 3 us slack gives
 * way to a fresh one of 10 us slack after 70 ms. Both sides age at the same rate, so the midpoint
 * stays where it was. Ageing makes a sliding window unnecessary: what is old expires by itself, and
 * within the drift limit the bounds never cross.
 *
 * If they do cross (the machine was suspended, the GPU was reset), the older facts are about
 * another clock: the newest record starts afresh. Its own two bounds cannot cross.
 *
 * What it does badly: the midpoint is biased by half the difference of the two sides' slack.
 * Timestamps that tick coarsely (1 us on some chips) add a tick. Nothing is known before the first
 * record.
 *
 * Tested by tests/unit/clock_sync_drift.c.
 */
#include "base/clock_sync.h"

#include <errno.h>

#define DRIFT_PPM       100
#define NS_PER_DRIFT_NS (1000000 / DRIFT_PPM)

/* How much a bound has lost since it was seen; records may be observed slightly out of order. */
static int64_t slack_ns(const struct clock_bound *bound, uint64_t now_ns)
{
	int64_t age = (int64_t)(now_ns - bound->at_ns);

	return age > 0 ? age / NS_PER_DRIFT_NS : 0;
}

static void set_bound(struct clock_bound *bound, int64_t offset_ns, uint64_t now_ns)
{
	*bound = (struct clock_bound){.offset_ns = offset_ns, .at_ns = now_ns, .is_known = 1};
}

static void observe_lower(struct clock_bound *lower, int64_t offset_ns, uint64_t now_ns)
{
	if (!lower->is_known || offset_ns >= lower->offset_ns - slack_ns(lower, now_ns))
		set_bound(lower, offset_ns, now_ns);
}

static void observe_upper(struct clock_bound *upper, int64_t offset_ns, uint64_t now_ns)
{
	if (!upper->is_known || offset_ns <= upper->offset_ns + slack_ns(upper, now_ns))
		set_bound(upper, offset_ns, now_ns);
}

static int is_known(const struct clock_sync *cs)
{
	return cs->lower.is_known && cs->upper.is_known;
}

/* Negative when the bounds contradict each other. */
static int64_t width_ns(const struct clock_sync *cs, uint64_t now_ns)
{
	return (cs->upper.offset_ns + slack_ns(&cs->upper, now_ns)) -
	       (cs->lower.offset_ns - slack_ns(&cs->lower, now_ns));
}

void clock_sync_observe(struct clock_sync *cs, uint64_t gpu_ns, uint64_t submitted_ns,
			uint64_t polled_ns)
{
	int64_t low = (int64_t)(submitted_ns - gpu_ns);
	int64_t high = (int64_t)(polled_ns - gpu_ns);

	/* A record said to be seen before it was submitted is the caller's mistake, and no
	 * evidence. */
	if (submitted_ns != 0 && low > high)
		return;
	cs->nr_observations++;
	observe_upper(&cs->upper, high, polled_ns);
	if (submitted_ns != 0)
		observe_lower(&cs->lower, low, polled_ns);
	if (!is_known(cs) || width_ns(cs, polled_ns) >= 0)
		return;
	cs->nr_restarts++;
	set_bound(&cs->upper, high, polled_ns);
	cs->lower.is_known = 0;
	if (submitted_ns != 0)
		set_bound(&cs->lower, low, polled_ns);
}

int clock_sync_to_cpu(const struct clock_sync *cs, uint64_t gpu_ns, uint64_t *ret_ns)
{
	uint64_t now_ns;
	int64_t low;
	int64_t high;

	if (!is_known(cs))
		return -EAGAIN;
	/* Both bounds on the scale of the newer one; further ageing would not move the midpoint. */
	now_ns = (int64_t)(cs->lower.at_ns - cs->upper.at_ns) > 0 ? cs->lower.at_ns
								  : cs->upper.at_ns;
	low = cs->lower.offset_ns - slack_ns(&cs->lower, now_ns);
	high = cs->upper.offset_ns + slack_ns(&cs->upper, now_ns);
	*ret_ns = gpu_ns + (uint64_t)(low + (high - low) / 2);
	return 0;
}

uint64_t clock_sync_error_ns(const struct clock_sync *cs, uint64_t now_ns)
{
	return is_known(cs) ? (uint64_t)(width_ns(cs, now_ns) / 2) : UINT64_MAX;
}
