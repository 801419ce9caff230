/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicting a grid's time.
 *
 * A borrower may have only so much work outstanding, and a TPC's timer must say when that work will
 * be done; so launches need a time before they run. Programs that keep a GPU busy launch the same
 * few hundred grids again and again, each taking nearly the same time: the mean of the past does.
 *
 * Kept is not a time but work, time times TPCs, because a grid meets another number of TPCs at each
 * launch. A grid cannot fill more TPCs than it has blocks, so time is work / min(TPCs, blocks).
 *
 * The mean is exponential with weight 1/8, plain for the first eight. A sample more than four times
 * off the mean is taken as four times off: one preempted or badly timed launch moves the mean by
 * less than half. The fourth in a row on the same side is believed as it is, and everything before
 * forgotten: the grid's arguments have changed its work.
 *
 * A time in which something else had its TPCs, too, is known to be too long: it counts for nothing
 * beside others. But where there are no others, the least of such times is better than none: grids
 * that take longer than others leave in peace would never be known, and they are those that matter
 * most.
 *
 * Example: 660 blocks took 100 us on 66 TPCs: work 6.6 ms. On 33 TPCs: 200 us. One sample of 10 ms
 * (on 66) counts as 400 us, and moves the mean of many to 137 us.
 *
 * What it does badly: grids whose time is set by memory and not by TPCs are predicted too long on
 * few TPCs; grids whose work hangs on data are predicted at their mean.
 *
 * Tested by tests/unit/predict_times.c.
 */
#include "sched/predict.h"

#define NR_KNOWN   2 /* the first time of a grid has the loading of its code in it */
#define NR_PLAIN   8
#define FAR        4.0f
#define NR_BELIEVE 4
#define LONGEST    9e18f /* ns that a uint64_t holds for certain, also as a float */

struct predict predict_new(uint64_t nr_blocks)
{
	uint8_t width = nr_blocks > UINT8_MAX ? UINT8_MAX : (uint8_t)nr_blocks;

	return (struct predict){.width = width ? width : 1};
}

static float filled(const struct predict *predict, uint32_t nr_tpcs)
{
	uint32_t n = nr_tpcs < predict->width ? nr_tpcs : predict->width;

	return (float)(n ? n : 1);
}

static float work_of(const struct predict *predict, uint64_t duration_ns, uint32_t nr_tpcs)
{
	return (float)(duration_ns ? duration_ns : 1) * filled(predict, nr_tpcs);
}

/* The sample, bounded; or as it is when enough in a row say the same. */
static float believed(struct predict *predict, float work)
{
	int8_t side = work > predict->work * FAR ? 1 : work * FAR < predict->work ? -1 : 0;

	predict->nr_odd = side && side == predict->odd_side ? predict->nr_odd + 1 : side != 0;
	predict->odd_side = side;
	if (!side)
		return work;
	if (predict->nr_odd >= NR_BELIEVE) {
		predict->nr_seen = 0;
		predict->nr_odd = 0;
		return work;
	}
	return side > 0 ? predict->work * FAR : predict->work / FAR;
}

void predict_add(struct predict *predict, uint64_t duration_ns, uint32_t nr_tpcs)
{
	float work = work_of(predict, duration_ns, nr_tpcs);
	float weight;

	if (predict->nr_seen >= NR_KNOWN)
		work = believed(predict, work);
	/* What the first one took is replaced by the second: see NR_KNOWN. */
	if (predict->nr_seen < NR_KNOWN)
		weight = 1.0f;
	else
		weight = 1.0f / (float)(predict->nr_seen < NR_PLAIN ? predict->nr_seen : NR_PLAIN);
	predict->work += (work - predict->work) * weight;
	if (predict->nr_seen == 0 && predict->odd_side)
		predict->nr_seen = NR_KNOWN - 1; /* the shape is known, only its work is new */
	if (predict->nr_seen < UINT8_MAX)
		predict->nr_seen++;
}

void predict_add_most(struct predict *predict, uint64_t duration_ns, uint32_t nr_tpcs)
{
	float work = work_of(predict, duration_ns, nr_tpcs);

	if (predict->nr_seen < NR_KNOWN)
		predict->nr_seen++;
	else if (predict->nr_seen > NR_KNOWN || work >= predict->work)
		return;
	predict->work = work;
}

uint64_t predict_ns(const struct predict *predict, uint32_t nr_tpcs)
{
	float ns;

	if (predict->nr_seen < NR_KNOWN)
		return 0;
	ns = predict->work / filled(predict, nr_tpcs);
	if (ns > LONGEST)
		return (uint64_t)LONGEST;
	return ns < 1.0f ? 1 : (uint64_t)ns;
}
