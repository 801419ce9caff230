/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offset between the GPU's nanosecond clock and CLOCK_MONOTONIC.
 *
 * Problem: completion records carry the GPU's clock. A queueing time (submitted on the CPU, ended
 * on the GPU) needs both clocks on one scale, and no driver call tells the offset.
 *
 * Idea: cause and effect. A launch cannot end before it was submitted, and cannot be seen to have
 * ended before it ended. With offset = CPU - GPU, each record therefore says submitted_cpu -
 * gpu_end <= offset <= polled_cpu - gpu_end. The lower of these is as far away as the shortest
 * kernel is long, so there is another: where a look at looked_cpu found no record, the end came
 * later, and looked_cpu - gpu_end <= offset. The tightest bounds seen are kept, and the estimate is
 * their midpoint. Two looks 50 us apart enclose the end of a record in 50 us, anywhere in them: so
 * among many records the best of each side is a few us off, and the midpoint less than either.
 *
 * Example: 2 ms kernels, one at a time. Submission alone leaves 2,000 us between the bounds, and a
 * midpoint 1,000 us early: half of each duration. With looks 50 us apart the error is 1 us.
 *
 * A look in vain proves less than a submission: the GPU takes its timestamp first, and the write is
 * seen 1 us later, or much later on a busy bus. So a look counts as if it had been WRITE_NS = 4 us
 * earlier, and where it contradicts an upper bound, which is always true, it is no evidence.
 *
 * Drift: the two oscillators differ, and NTP slews CLOCK_MONOTONIC, by up to DRIFT_PPM = 100
 * together. A bound that was true a seconds ago is true now after giving way by 100 us per second
 * of age, so bounds are compared, and used, after ageing: a fresh record replaces an old bound as
 * soon as it is tighter than what the old one is still worth. Example: a bound of 3 us slack gives
 * way to a fresh one of 10 us slack after 70 ms. Both sides age alike, so the midpoint stays where
 * it was, and what is old expires by itself.
 *
 * If they cross (the machine was suspended, the GPU reset, or a slow write put the lower one too
 * high), the newest record starts afresh. Its own two bounds cannot cross.
 *
 * Errors by simulation (the test), median and 99th percentile in us: kernels of 5 and 100 us, looks
 * every 50 us: 0.4 and 1.7; of 2 ms: 1 and 4, with 90 ppm of drift 2 and 6, looks every 200 us that
 * double to 20 ms: 4 and 14; of 20 ms, looks that double: 43 and 170.
 *
 * What it does badly: the midpoint is off by half the difference of the sides' slack. A kernel of
 * 5-100 us every 50 ms, seen up to 20 ms late, leaves 100 us; writes seen 100 us late, each another
 * time, 10 us. A GPU clock set back by less than the shortest kernel's time is not noticed.
 *
 * Tested by tests/unit/clock_sync_drift.c, and by tests/unit/tracker_durations.c.
 */
#include "base/clock_sync.h"

#include <errno.h>

#define DRIFT_PPM       100
#define NS_PER_DRIFT_NS (1000000 / DRIFT_PPM)
#define WRITE_NS        4000u

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

/*
 * The offset is not less than this, says one record; 0 when it says nothing. The upper bound has
 * taken the record into account already.
 */
static int lower_of(const struct clock_sync *cs, const struct clock_record *record,
		    int64_t *ret_offset_ns)
{
	int64_t submitted = (int64_t)(record->submitted_ns - record->gpu_ns);
	int64_t looked = (int64_t)(record->looked_ns - WRITE_NS - record->gpu_ns);
	int64_t high = cs->upper.offset_ns + slack_ns(&cs->upper, record->polled_ns);
	int is_look = record->looked_ns != 0 && looked <= high;

	if (!is_look && !record->submitted_ns)
		return 0;
	if (is_look && (!record->submitted_ns || looked > submitted))
		*ret_offset_ns = looked;
	else
		*ret_offset_ns = submitted;
	return 1;
}

void clock_sync_observe(struct clock_sync *cs, const struct clock_record *record)
{
	uint64_t now_ns = record->polled_ns;
	int64_t high = (int64_t)(now_ns - record->gpu_ns);
	int64_t low;
	int has_low;

	/* A record said to be seen before it was submitted is the caller's mistake, and no
	 * evidence. */
	if (record->submitted_ns != 0 && (int64_t)(now_ns - record->submitted_ns) < 0)
		return;
	cs->nr_observations++;
	observe_upper(&cs->upper, high, now_ns);
	has_low = lower_of(cs, record, &low);
	if (has_low)
		observe_lower(&cs->lower, low, now_ns);
	if (!is_known(cs) || width_ns(cs, now_ns) >= 0)
		return;
	cs->nr_restarts++;
	set_bound(&cs->upper, high, now_ns);
	cs->lower.is_known = 0;
	if (has_low)
		set_bound(&cs->lower, low, now_ns);
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
