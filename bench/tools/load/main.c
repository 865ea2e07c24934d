/* main.c - the load generator for measuring proxies on loopback: options and phases. One thread.
 *
 *   load closed -p PORT …    every connection always has one request out, for -t seconds after a warm-up; with -2 N it
 *                            speaks HTTP/2 and has one out on each of N streams (clear text: with prior knowledge)
 *   load once   -p PORT …    the same, but each token is used once, and the tokens' end is the end
 *   load paced  -p PORT …    -r N requests a second over the connections, each at its time: who is late, waits, and the
 *                            wait counts; with -f N -F FILE -m M also N requests a second on as many connections from another
 *                            address, each with another of the file's M tokens, of which the signature is broken; with -a MS
 *                            these come and go, so long each, and "phases_us" are the p99 of those without and with them
 *   load idle   -p PORT …    one request on each connection, prints READY, holds them until stdin ends or -t is over
 *   load handshakes -p PORT  every connection shakes hands by TLS, ends in order, waits for the proxy's end, and comes again;
 *                            with -R all resume the session of the first one
 *   load websockets -p PORT  every connection opens a WebSocket at /ws; then each always has one small message out
 *   load origin -o PORT      no load: only the origin, until it is ended
 *
 *   -c N connections   -t SECONDS   -w SECONDS of warm-up   -W N requests of warm-up at least   -u PATH   -s TLS 1.3
 *   -k FILE of tokens, one a line   -n N use the first N, in turn
 *   -P PID  (repeatable) report the CPU time that these processes use inside the window
 *   -C FILE report what the counting shim (counting.c) counts inside the window
 *   -o PORT be the origin too, on PORT, in the same loop   -B BYTES length of its answers' bodies (130; of HTTP/1.1 only)
 *   -b      never sleep: the proxy's sends then never have to wake an idle core, which on loopback is an interrupt
 *           that the sender pays for, and a slow proxy pays for more of them than a fast one
 *   -v N    connections that vanish in each second in the middle of a request
 *
 * Prints one line of JSON.
 */
#define _GNU_SOURCE
#include "load.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const double GIVE_UP_AFTER_SECONDS = 30;      /* beyond what was asked for: the proxy does not answer */

static const struct load *load = &client_load;

static int late(uint64_t now, uint64_t begun) {
    return (double)(now - begun) / 1e9 > options.seconds + options.warm_seconds + GIVE_UP_AFTER_SECONDS;
}

/* Warm up, measure, report. */
static int run_window(void) {
    uint64_t begun = now_ns(), measured_from = 0;
    for (;;) {
        load->dial();
        loop_turn();
        uint64_t now = now_ns();
        meter_tick(now);
        clients_vanish(now);
        clients_pace(now);
        if (!measured_from) {
            if ((double)(now - begun) >= options.warm_seconds * 1e9 && totals.answered >= options.warm_requests) {
                meter_begin();
                measured_from = now;
            }
        } else if (options.mode != MODE_ONCE && (double)(now - measured_from) >= options.seconds * 1e9) break;
        if (tokens_exhausted) break;
        if (late(now, begun)) {
            fprintf(stderr, "load: time is over, %ld answers\n", totals.answered);
            return 1;
        }
    }
    if (!measured_from) {
        fprintf(stderr, "load: the tokens ended before the warm-up did\n");
        return 1;
    }
    clients_may_fire = 0;
    meter_report();
    return 0;
}

static int input_ended(void) {
    struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
    char byte;
    return poll(&input, 1, 0) == 1 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static int hold_idle(void) {
    uint64_t begun = now_ns(), ready_at = 0;
    for (;;) {
        load->dial();
        loop_turn();
        uint64_t now = now_ns();
        if (!ready_at && totals.answered + totals.broken >= options.connections) {
            ready_at = now;
            printf("READY %ld answered %ld refused %ld broken\n", totals.answered, totals.refused, totals.broken);
            fflush(stdout);
        }
        if (ready_at && ((double)(now - ready_at) >= options.seconds * 1e9 || input_ended())) return 0;
        if (!ready_at && late(now, begun)) {
            fprintf(stderr, "load: time is over, %ld of %d connections\n", totals.answered, options.connections);
            return 1;
        }
    }
}

static void usage(void) {
    fprintf(stderr, "usage: load closed|once|paced|idle|handshakes|websockets|origin [options]; they are listed at the head of main.c\n");
    exit(2);
}

static void read_mode(const char *name) {
    static const char *const names[] = { "closed", "once", "paced", "idle", "handshakes", "websockets", "origin" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i])) continue;
        options.mode = (enum mode)i;
        return;
    }
    usage();
}

static void read_options(int argc, char **argv) {
    if (argc < 2) usage();
    read_mode(argv[1]);
    optind = 2;
    for (int o; (o = getopt(argc, argv, "p:c:t:w:W:k:n:u:sP:C:bo:B:v:r:f:F:m:a:2:R")) != -1;) {
        switch (o) {
        case 'p': options.port = atoi(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'w': options.warm_seconds = atof(optarg); break;
        case 'W': options.warm_requests = atol(optarg); break;
        case 'k': options.token_file = optarg; break;
        case 'n': options.tokens = atol(optarg); break;
        case 'u': options.path = optarg; break;
        case 's': options.tls = 1; break;
        case '2': options.streams = atoi(optarg); break;
        case 'R': options.resumes = 1; break;
        case 'P': meter_watch_process(atoi(optarg)); break;
        case 'C': options.counters_file = optarg; break;
        case 'b': options.busy = 1; break;
        case 'o': options.origin_port = atoi(optarg); break;
        case 'B': options.answer_bytes = strtoul(optarg, NULL, 10); break;
        case 'r': options.rate = atol(optarg); break;
        case 'f': options.flood_rate = atol(optarg); break;
        case 'F': options.flood_file = optarg; break;
        case 'm': options.flood_tokens = atol(optarg); break;
        case 'a': options.phase_ns = strtoull(optarg, NULL, 10) * 1000000u; break;
        case 'v': options.vanish_per_second = atol(optarg); break;
        default: usage();
        }
    }
}

static void choose_load(void) {
    if (options.mode == MODE_HANDSHAKES) load = &handshake_load;
    else if (options.mode == MODE_WEBSOCKETS) load = &socket_load;
    else if (options.streams && options.mode == MODE_CLOSED) load = &channel_load;
    else if (options.streams) usage();
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    choose_load();
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    srand48(7);
    loop_begin();
    if (options.origin_port) origin_begin();
    if (options.mode == MODE_ORIGIN)
        for (;;) loop_turn();
    requests_load();
    load->begin();
    return options.mode == MODE_IDLE ? hold_idle() : run_window();
}
