/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between CUDA_VISIBLE_DEVICES and the daemon.
 *
 * The user speaks as CUDA does, with indices, UUIDs or beginnings of them; the daemon knows UUIDs;
 * programs read the variable themselves, and some take nothing but integers. So the program finds
 * the form that its user chose: an index stays an index, a short UUID a short one, narrowed to the
 * GPU of the reservation. Where the user said nothing, nothing is set where there is one GPU, and
 * an index in CUDA's own order where there are more.
 *
 * What a list means with several GPUs is CUDA's word (run/devices.h), an entry that is none and all
 * after it included. With one GPU the list is left alone, and what CUDA makes of it is too.
 *
 * Tested by tests/integration/cli_gpus.bats and cli_tenant.bats.
 */
#include "cli/run/choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "base/uuid.h"
#include "cli/cli.h"

#define VARIABLE "CUDA_VISIBLE_DEVICES"

static const char *visible(void)
{
	const char *text = options_environment(VARIABLE);

	return text != NULL ? text : "";
}

static const char *name_of(const struct choice *choice)
{
	return choice->is_option ? "--gpu " : VARIABLE "=";
}

static int ask(struct choice *choice, const struct options *options)
{
	int r = devices_ask(options, &choice->devices);

	choice->has_devices = r == 0;
	return r;
}

/* All that CUDA shows. */
static int list_devices(const struct choice *choice, char *ret_list, size_t size)
{
	char uuid[UUID_TEXT_BYTES];
	int r = 0;

	ret_list[0] = '\0';
	for (uint32_t i = 0; i < choice->devices.nr && r == 0; i++)
		r = gpus_add(ret_list, size, uuid_text(choice->devices.uuid[i], uuid));
	return r;
}

/* A single UUID needs no driver to be understood, and one GPU no list. */
static int needs_cuda(const struct choice *choice, const char *list)
{
	if (choice->nr_of_machine <= 1 || choice->named == GPUS_ANY)
		return 0;
	return choice->named == GPUS_OTHER || strchr(list, ',') != NULL;
}

static int allow_shown(struct choice *choice, const struct options *options, char *ret_list,
		       size_t size)
{
	int r = ask(choice, options);

	if (r < 0) {
		cli_error("%s%s: the driver cannot be asked which GPUs that are (%s): name one by "
			  "its UUID (GPU-..., nvidia-smi -L lists them), and see 'lithos doctor'",
			  name_of(choice), visible(), strerror(-r));
		return r;
	}
	if (choice->devices.nr == 0 && choice->is_option) {
		cli_error("--gpu %s: CUDA shows no such GPU; this machine has %u", visible(),
			  choice->nr_of_machine);
		return -ENODEV;
	}
	return list_devices(choice, ret_list, size);
}

int choice_allow(struct choice *choice, const struct options *options, char *ret_list, size_t size)
{
	int r = gpus_parse(options_environment(VARIABLE), ret_list, size, &choice->named);

	choice->nr_of_machine = devices_of_machine(options);
	if (r == 0 && needs_cuda(choice, ret_list))
		r = allow_shown(choice, options, ret_list, size);
	if (r == -E2BIG)
		cli_error(VARIABLE "=%s names more GPUs than a tenant can choose from", visible());
	return r;
}

/* Nothing was said: nothing is set where there is nothing to choose. */
static void set_any(struct choice *choice, const struct options *options, const uint8_t uuid[16],
		    uint32_t nr_gpus)
{
	int index = -1;

	if (nr_gpus <= 1 && choice->nr_of_machine <= 1)
		return;
	if (ask(choice, options) == 0)
		index = devices_index(&choice->devices, uuid);
	if (index >= 0) {
		(void)snprintf(choice->value, CHOICE_BYTES, "%d", index);
	} else {
		char text[UUID_TEXT_BYTES];

		(void)snprintf(choice->value, CHOICE_BYTES, "%s", uuid_text(uuid, text));
	}
}

/* An index that CUDA was not asked about means a GPU only where there is one. */
static int check_single(const struct choice *choice, uint32_t nr_gpus)
{
	if (nr_gpus != 1) {
		cli_error("%s%s does not name GPUs by UUID, and this machine has %u: use GPU-... "
			  "(nvidia-smi -L lists them), or leave it out",
			  name_of(choice), visible(), nr_gpus);
		return -EINVAL;
	}
	if (choice->is_option && strcmp(visible(), "0") != 0) {
		cli_error("--gpu %s: this machine has one GPU, which is 0", visible());
		return -ENODEV;
	}
	return 0;
}

int choice_made(struct choice *choice, const struct options *options, const uint8_t uuid[16],
		uint32_t nr_gpus)
{
	char text[UUID_TEXT_BYTES];
	int index;

	if (choice->named == GPUS_ANY) {
		/* An empty text is a choice, too: no GPU at all. */
		if (!options_has_environment(VARIABLE))
			set_any(choice, options, uuid, nr_gpus);
		return 0;
	}
	(void)uuid_text(uuid, text);
	if (!choice->has_devices && choice->named == GPUS_OTHER)
		return check_single(choice, nr_gpus);
	if (!choice->has_devices && gpus_find(visible(), text, choice->value, CHOICE_BYTES) < 0)
		(void)snprintf(choice->value, CHOICE_BYTES, "%s", text);
	index = choice->has_devices ? devices_index(&choice->devices, uuid) : -1;
	return index < 0 ? 0 : gpus_entry(visible(), (uint32_t)index, choice->value, CHOICE_BYTES);
}
