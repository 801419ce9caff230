/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of shared simulated GPUs: what its files share. One thread, no lock.
 *
 * Glossary
 *   client  a connection: one process.
 *   tenancy the clients whose grids may run together: one process, or all of one MPS; it is a group
 * (sim/device/device.h) on every GPU.
 */
#ifndef LITHOS_SIM_SERVER_H
#define LITHOS_SIM_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "sim/server/proto.h"

struct server;
struct client;

/* What epoll hands back; first in everything that is watched. */
struct watched {
	void (*ready)(struct server *server, struct watched *watched);
	int fd;
};

struct tenancy {
	struct tenancy *next;
	struct proto_mps mps;    /* zeros: one process of its own */
	unsigned int nr_clients; /* freed with the last one */
	uint32_t lost;           /* what its clients were told when its MPS died; 0: it lives */
	struct sim_group *group[PROTO_MAX_GPUS];
	struct watched control; /* pidfds; fd -1: none */
	struct watched mps_server;
};

struct client_queue {
	struct client *client;
	struct sim_queue *queue;
	uint32_t id;
	uint32_t gpu;
	uint32_t nr_over;            /* its grids that ended or hung */
	int is_closing;              /* nothing about it is said any more */
	struct client_task *waiting; /* first in the queue, the client was told, no answer yet */
};

struct bytes {
	uint8_t *at;
	size_t nr;
	size_t room;
};

struct client {
	struct watched watched; /* first */
	struct client *next;
	struct server *server;
	struct tenancy *tenancy;     /* NULL until it said hello */
	struct client_queue **queue; /* by id, rising */
	size_t nr_queues;
	uint64_t memory[PROTO_MAX_GPUS];
	struct bytes in;
	struct bytes out;
	size_t open_blocks; /* where in `out` a PROTO_BLOCKS may still grow; SIZE_MAX: nowhere */
	size_t open_begin;  /* the same of a PROTO_BEGIN */
	int priority;       /* added to those of its queues */
	int is_gone;        /* dropped when nothing uses it any more */
	int wants_write;    /* epoll tells when there is room */
};

struct gpu {
	struct sim_device *device;
	uint64_t used_bytes;
};

struct server {
	struct watched listener;
	struct sim_chip chip;
	struct gpu gpu[PROTO_MAX_GPUS];
	unsigned int nr_gpus;
	struct client *clients;
	struct tenancy *tenancies;
	int epoll_fd;
	uint64_t linger_ns;     /* ends that long after its last client; 0: never */
	uint64_t idle_since_ns; /* no client since; 0: has some */
	const char *path;
};

/* server.c: the loop; returns when the server is to end. */
int server_run(struct server *server);
void server_accept(struct server *server, struct watched *watched);
int server_watch(struct server *server, struct watched *watched, uint32_t events);
void server_unwatch(struct server *server, struct watched *watched);

/* listen.c: 0 once clients can connect; `locked`: who started the server holds the lock file. */
int server_listen(struct server *server, int locked);
/* 0: nobody can connect any more. -EAGAIN: somebody is about to. */
int server_end(struct server *server);

/* client.c */
void client_accept(struct server *server, int fd);
/* Adds a message; the client is gone when there is no memory for it. */
void client_send(struct client *client, const void *message);
/* Block number `block` of the queue's first grid has begun. */
void client_send_begin(struct client_queue *queue, uint64_t block);
void client_send_block(struct client_queue *queue, const struct proto_block *block);
/* Sends what was added, as far as there is room. */
void client_flush(struct client *client);
/* Its queues, memory and place in the tenancy. */
void client_close(struct client *client);
void client_free(struct client *client);

/* request.c: 0, or -EPROTO for a message that is malformed. */
int request_handle(struct client *client, const struct proto_head *message);
void request_queue_free(struct client *client, size_t index);

/* grid.c: what the device calls back. */
extern const struct sim_device_ops server_device_ops;
int grid_submit(struct client_queue *queue, const struct proto_grid *message);
int task_submit(struct client_queue *queue, const struct proto_task *message);
int task_done(struct client_queue *queue, uint64_t busy_ns);
void grid_leave(struct client_queue *queue, const struct proto_leave *message);

/* tenancy.c */
struct tenancy *tenancy_join(struct server *server, const struct proto_mps *mps);
void tenancy_leave(struct server *server, struct tenancy *tenancy);

#endif
