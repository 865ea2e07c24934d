// Metrics as Prometheus reads them: text exposition format 0.0.4.

/// What is known about the process, beside the workers' counters.
package struct ProcessGauges: Sendable, Equatable {
    package var startWallSeconds: Int64 = 0
    package var workers = 0
    /// Counts configurations that were put to use; the one read at the start is the first.
    package var configurationGeneration = 0
    package var reloadsSucceeded: UInt64 = 0
    package var reloadsFailed: UInt64 = 0
    /// Key files that were read again because they changed.
    package var keyFileReadsSucceeded: UInt64 = 0
    package var keyFileReadsFailed: UInt64 = 0
    package var rolesFileReadsSucceeded: UInt64 = 0
    package var rolesFileReadsFailed: UInt64 = 0

    package init() {}
}

/// What is known about one provider's keys.
package struct KeySetGauges: Sendable, Equatable {
    package var provider: String
    package var keys = 0
    package var fetches: UInt64 = 0
    /// By reason; none for a provider without a source.
    package var fetchErrors: [ReasonCount] = []
    /// Keys of a source that is down serve beyond their time.
    package var isStale = false
    /// Nil: never yet, or keys from a file alone.
    package var lastSuccessWallSeconds: Int64?

    package init(provider: String) { self.provider = provider }
}

/// What is known about the questions that one provider asked another service.
package struct LookupGauges: Sendable, Equatable {
    package var provider: String
    /// Questions that were begun, and those answered by one that ran already or had just ended.
    package var lookups: UInt64 = 0
    package var shared: UInt64 = 0
    /// By reason.
    package var failures: [String: UInt64] = [:]
    package var running = 0
    /// Its service failed too often and is not asked.
    package var rests = false
    private(set) var durations = [UInt64](repeating: 0, count: LatencyBuckets.count)
    private(set) var nanoseconds: UInt64 = 0

    package init(provider: String) { self.provider = provider }

    package mutating func answered(after nanoseconds: UInt64) {
        durations[LatencyBuckets.index(nanoseconds: nanoseconds)] += 1
        self.nanoseconds &+= nanoseconds
    }
}
/// What is known about one `revocation` block.
package struct RevocationGauges: Sendable, Equatable {
    package var name: String
    /// By source: entries that it named, new or not, and times that it failed.
    package var received: [(source: String, count: UInt64)] = []
    package var errors: [(source: String, count: UInt64)] = []
    /// Entries of kinds that are not known here.
    package var skipped: UInt64 = 0
    /// Since a source was last heard, or since it is listened to; nil: there is none.
    package var ageSeconds: UInt64?

    package init(name: String) { self.name = name }

    package static func == (a: RevocationGauges, b: RevocationGauges) -> Bool {
        a.name == b.name && a.skipped == b.skipped && a.ageSeconds == b.ageSeconds
            && a.received.elementsEqual(b.received, by: ==) && a.errors.elementsEqual(b.errors, by: ==)
    }
}
/// What is known about all of them together.
package struct RevocationTotals: Sendable, Equatable {
    package var blocks: [RevocationGauges] = []
    package var entries = 0
    /// Entries for which there was no room.
    package var dropped: UInt64 = 0
    /// Times that the journal could not be written.
    package var journalErrors: UInt64 = 0

    package init() {}
}

/// How often something happened for one reason.
package struct ReasonCount: Sendable, Equatable {
    package var reason: String
    package var count: UInt64

    package init(reason: String, count: UInt64) {
        self.reason = reason
        self.count = count
    }
}

/// The page behind `/metrics`.
package struct Exposition {
    private var text: [UInt8] = []

    package static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

    package static func render(
        _ totals: CounterTotals, process: ProcessGauges, keySets: [KeySetGauges], lookups: [LookupGauges] = [],
        revocations: RevocationTotals = RevocationTotals(), health: [HealthGauges] = [], wallSeconds: Int64
    ) -> [UInt8] {
        var page = Exposition()
        page.process(process)
        page.requests(totals)
        page.connections(totals.tally)
        page.upstreams(totals)
        page.health(health)
        page.tokens(totals.tally)
        page.keySets(keySets, now: wallSeconds)
        page.lookups(lookups)
        if !revocations.blocks.isEmpty { page.revocations(revocations, totals.tally) }
        page.logs(totals.tally)
        return page.text
    }

    private mutating func process(_ gauges: ProcessGauges) {
        single(
            "start_time_seconds", .gauge, "When the process started, in seconds since 1970.", gauges.startWallSeconds)
        single("workers", .gauge, "Worker threads.", Int64(gauges.workers))
        single(
            "config_generation", .gauge, "Configurations put to use since the start.",
            Int64(gauges.configurationGeneration))
        family("config_reloads_total", .counter, "Reloads of the configuration by result.")
        sample("config_reloads_total", [("result", "ok")], gauges.reloadsSucceeded)
        sample("config_reloads_total", [("result", "failed")], gauges.reloadsFailed)
        family("key_file_reloads_total", .counter, "Times a provider's key files changed, by what came of it.")
        sample("key_file_reloads_total", [("result", "ok")], gauges.keyFileReadsSucceeded)
        sample("key_file_reloads_total", [("result", "failed")], gauges.keyFileReadsFailed)
        family("roles_file_reloads_total", .counter, "Times the roles file changed, by what came of it.")
        sample("roles_file_reloads_total", [("result", "ok")], gauges.rolesFileReadsSucceeded)
        sample("roles_file_reloads_total", [("result", "failed")], gauges.rolesFileReadsFailed)
    }

    private mutating func requests(_ totals: CounterTotals) {
        family("requests_total", .counter, "Requests by route and class of the status that was sent.")
        for (i, route) in totals.routes.names.enumerated() {
            let row = totals.routes.row(i)
            for statusClass in 0..<Counters.statusClasses {
                let label = statusClass == 0 ? "none" : "\(statusClass)xx"
                sample("requests_total", [("route", route), ("status", label)], row[row.startIndex + statusClass])
            }
        }
        family("request_duration_seconds", .histogram, "Time from a request's head to the end of its answer.")
        for (i, route) in totals.routes.names.enumerated() { histogram(route, totals.routes.row(i)) }
        family("rejected_total", .counter, "Requests that the gateway itself refused, by reason.")
        for (i, reason) in totals.reasons.names.enumerated() {
            sample("rejected_total", [("reason", reason)], totals.reasons.values[i])
        }
        family("would_deny_total", .counter, "Requests that auth_mode report let pass, by route and reason.")
        for (denial, count) in totals.denials.sorted(by: { $0.key < $1.key }) {
            sample("would_deny_total", [("route", denial.route), ("reason", denial.reason)], count)
        }
    }

    private mutating func histogram(_ route: String, _ row: ArraySlice<UInt64>) {
        let first = row.startIndex + Counters.statusClasses
        var sum: UInt64 = 0
        for (k, bound) in LatencyBuckets.bounds.enumerated() {
            sum &+= row[first + k]
            sample("request_duration_seconds_bucket", [("route", route), ("le", bound)], sum)
        }
        let nanoseconds = row[first + LatencyBuckets.count]
        line("request_duration_seconds_sum", [("route", route)], Self.seconds(nanoseconds))
        sample("request_duration_seconds_count", [("route", route)], sum)
    }

    private mutating func connections(_ tally: Tally) {
        single("connections_accepted_total", .counter, "Client connections accepted.", tally.connectionsAccepted)
        single("connections_active", .gauge, "Client connections open now.", max(tally.connectionsActive, 0))
        single(
            "connections_evicted_total", .counter, "Idle client connections closed to make room.",
            tally.connectionsEvicted)
        single("accept_pauses_total", .counter, "Times accepting stopped for want of room.", tally.acceptPauses)
        family("tls_handshakes_total", .counter, "TLS handshakes with clients by result.")
        sample("tls_handshakes_total", [("result", "ok")], tally.tlsHandshakes)
        sample("tls_handshakes_total", [("result", "failed")], tally.tlsHandshakeFailures)
        family("upstream_tls_handshakes_total", .counter, "TLS handshakes with upstreams by result.")
        let whole = tally.upstreamHandshakes &- tally.upstreamResumptions
        sample("upstream_tls_handshakes_total", [("result", "ok")], whole)
        sample("upstream_tls_handshakes_total", [("result", "resumed")], tally.upstreamResumptions)
        sample("upstream_tls_handshakes_total", [("result", "failed")], tally.upstreamHandshakeFailures)
        family(
            "proxy_protocol_connections_total", .counter,
            "Connections to addresses with proxy_protocol, by what their header said.")
        sample("proxy_protocol_connections_total", [("result", "ok")], tally.sourcesNamed)
        sample("proxy_protocol_connections_total", [("result", "untrusted")], tally.sourcesUntrusted)
        sample("proxy_protocol_connections_total", [("result", "malformed")], tally.sourcesMalformed)
        sample("proxy_protocol_connections_total", [("result", "late")], tally.sourcesLate)
        family("http2_connections_total", .counter, "Connections with HTTP/2, and those that had to be ended.")
        sample("http2_connections_total", [("result", "begun")], tally.sessionsBegun)
        sample("http2_connections_total", [("result", "failed")], tally.sessionsFailed)
        single(
            "http2_streams_refused_total", .counter, "Requests of HTTP/2 for which there was no room.",
            tally.streamsRefused)
        single("upgrades_total", .counter, "Requests that became WebSockets.", tally.upgrades)
        single("upgrades_active", .gauge, "WebSockets that are open now.", tally.upgradesActive)
        single(
            "token_rechecks_total", .counter, "Times that requests were judged again while they ran.",
            tally.tokenRechecks)
        single(
            "token_recheck_ends_total", .counter, "Requests that ended because a new one would have been refused.",
            tally.tokenRecheckEnds)
        single("client_received_bytes_total", .counter, "Bytes read from clients.", tally.clientBytesReceived)
        single("client_sent_bytes_total", .counter, "Bytes written to clients.", tally.clientBytesSent)
    }

    private mutating func upstreams(_ totals: CounterTotals) {
        let families: [(UpstreamEvent, String, String)] = [
            (.connect, "upstream_connects_total", "Connections begun to upstreams."),
            (.reuse, "upstream_reuses_total", "Requests that took an idle connection to an upstream."),
            (.retry, "upstream_retries_total", "Requests that were sent once more."),
            (.failure, "upstream_failures_total", "Attempts at upstreams that came to nothing."),
        ]
        for (event, name, help) in families {
            family(name, .counter, help)
            for (i, upstream) in totals.upstreams.names.enumerated() {
                let row = totals.upstreams.row(i)
                sample(name, [("upstream", upstream)], row[row.startIndex + event.rawValue])
            }
        }
        single(
            "upstream_received_bytes_total", .counter, "Bytes read from upstreams.", totals.tally.upstreamBytesReceived)
        single("upstream_sent_bytes_total", .counter, "Bytes written to upstreams.", totals.tally.upstreamBytesSent)
    }

    private mutating func health(_ health: [HealthGauges]) {
        if health.isEmpty { return }
        family("upstream_healthy", .gauge, "1 while health checks find that a server of a group can serve.")
        for one in health {
            sample("upstream_healthy", [("upstream", one.upstream), ("server", one.server)], one.isHealthy ? 1 : 0)
        }
        family("upstream_health_checks_total", .counter, "Health checks by what came of them.")
        for one in health {
            let labels = [("upstream", one.upstream), ("server", one.server)]
            sample("upstream_health_checks_total", labels + [("result", "passed")], one.passed)
            sample("upstream_health_checks_total", labels + [("result", "failed")], one.failed)
        }
    }

    private mutating func tokens(_ tally: Tally) {
        single("jwt_key_waits_total", .counter, "Requests that waited for keys being fetched.", tally.keyWaits)
        single(
            "jwt_requests_waiting", .gauge, "Requests that wait now for keys being fetched.", max(tally.keysAwaited, 0))
        single("jwt_cache_hits_total", .counter, "Tokens whose verdict was known.", tally.tokenCacheHits)
        single(
            "jwt_cache_negative_hits_total", .counter, "Tokens that had been refused a moment before.",
            tally.tokenCacheNegativeHits)
        single("jwt_cache_misses_total", .counter, "Tokens that had to be verified.", tally.tokenCacheMisses)
        single("jwt_cache_evictions_total", .counter, "Verdicts dropped to make room.", tally.tokenCacheEvictions)
        single("jwt_cache_entries", .gauge, "Verdicts kept now.", max(tally.tokenCacheEntries, 0))
        single("jwt_cache_bytes", .gauge, "Memory of the verdicts kept now.", max(tally.tokenCacheBytes, 0))
        single("jwt_verifications_total", .counter, "Signatures checked.", tally.signatureVerifications)
    }

    private mutating func keySets(_ keySets: [KeySetGauges], now: Int64) {
        family("jwks_keys", .gauge, "Usable keys of a provider.")
        for set in keySets { sample("jwks_keys", [("provider", set.provider)], UInt64(max(set.keys, 0))) }
        family("jwks_fetches_total", .counter, "Attempts to fetch a provider's keys.")
        for set in keySets { sample("jwks_fetches_total", [("provider", set.provider)], set.fetches) }
        family("jwks_fetch_errors_total", .counter, "Attempts to fetch a provider's keys that failed, by reason.")
        for set in keySets {
            for error in set.fetchErrors {
                sample(
                    "jwks_fetch_errors_total", [("provider", set.provider), ("reason", error.reason)], error.count)
            }
        }
        family("jwks_stale", .gauge, "1 while keys of a provider serve beyond their time because a source is down.")
        for set in keySets { sample("jwks_stale", [("provider", set.provider)], set.isStale ? 1 : 0) }
        family("jwks_last_success_timestamp_seconds", .gauge, "When a provider's keys were last fetched.")
        for set in keySets {
            guard let at = set.lastSuccessWallSeconds else { continue }
            line("jwks_last_success_timestamp_seconds", [("provider", set.provider)], "\(at)")
        }
        family("jwks_age_seconds", .gauge, "Age of a provider's keys.")
        for set in keySets {
            guard let at = set.lastSuccessWallSeconds else { continue }
            line("jwks_age_seconds", [("provider", set.provider)], "\(max(now - at, 0))")
        }
    }

    private mutating func lookups(_ lookups: [LookupGauges]) {
        if lookups.isEmpty { return }
        family("lookups_total", .counter, "Questions that a provider asked its service.")
        for one in lookups { sample("lookups_total", [("provider", one.provider)], one.lookups) }
        family("lookups_shared_total", .counter, "Questions that another one answered, which ran or had just ended.")
        for one in lookups { sample("lookups_shared_total", [("provider", one.provider)], one.shared) }
        family("lookup_failures_total", .counter, "Questions that came to nothing, by reason.")
        for one in lookups {
            for (reason, count) in one.failures.sorted(by: { $0.key < $1.key }) {
                sample("lookup_failures_total", [("provider", one.provider), ("reason", reason)], count)
            }
        }
        family("lookups_running", .gauge, "Questions that wait for an answer now.")
        for one in lookups { sample("lookups_running", [("provider", one.provider)], UInt64(max(one.running, 0))) }
        family("lookup_rests", .gauge, "1 while a service that failed too often is not asked.")
        for one in lookups { sample("lookup_rests", [("provider", one.provider)], one.rests ? 1 : 0) }
        family("lookup_duration_seconds", .histogram, "Time from a question to its answer.")
        for one in lookups { lookupDurations(one) }
    }
    private mutating func lookupDurations(_ one: LookupGauges) {
        var sum: UInt64 = 0
        for (k, bound) in LatencyBuckets.bounds.enumerated() {
            sum &+= one.durations[k]
            sample("lookup_duration_seconds_bucket", [("provider", one.provider), ("le", bound)], sum)
        }
        line("lookup_duration_seconds_sum", [("provider", one.provider)], Self.seconds(one.nanoseconds))
        sample("lookup_duration_seconds_count", [("provider", one.provider)], sum)
    }

    private mutating func revocations(_ totals: RevocationTotals, _ tally: Tally) {
        single("revocation_entries", .gauge, "Revocations in force.", totals.entries)
        single("revocation_dropped_total", .counter, "Revocations for which there was no room.", totals.dropped)
        single(
            "revocation_journal_errors_total", .counter, "Times that the journal could not be written.",
            totals.journalErrors)
        single(
            "revocation_stale_passes_total", .counter,
            "Requests that passed though no source of revocations had been heard for too long.",
            tally.staleRevocationPasses)
        family("revocation_age_seconds", .gauge, "Time since a source of revocations was last heard.")
        for block in totals.blocks {
            if let age = block.ageSeconds { sample("revocation_age_seconds", [("revocation", block.name)], age) }
        }
        family("revocation_received_total", .counter, "Revocations that a source named, new or not.")
        for block in totals.blocks {
            for (source, count) in block.received {
                sample("revocation_received_total", [("revocation", block.name), ("source", source)], count)
            }
        }
        family("revocation_errors_total", .counter, "Times that a source failed or said what cannot be used.")
        for block in totals.blocks {
            for (source, count) in block.errors {
                sample("revocation_errors_total", [("revocation", block.name), ("source", source)], count)
            }
        }
        family("revocation_skipped_total", .counter, "Revocations of kinds that are not known here.")
        for block in totals.blocks {
            sample("revocation_skipped_total", [("revocation", block.name)], block.skipped)
        }
    }

    private mutating func logs(_ tally: Tally) {
        single(
            "log_lines_suppressed_total", .counter, "Log lines held back by the limit for their reason.",
            tally.logLinesSuppressed)
        single("log_lines_lost_total", .counter, "Log lines dropped because the log was too slow.", tally.logLinesLost)
    }
}

// The format itself.
extension Exposition {
    private enum Kind: String { case counter, gauge, histogram }

    private mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        append("# HELP gateway_\(name) \(help)\n# TYPE gateway_\(name) \(kind.rawValue)\n")
    }
    private mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: some FixedWidthInteger) {
        family(name, kind, help)
        line(name, [], "\(value)")
    }
    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: UInt64) {
        line(name, labels, "\(value)")
    }
    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        append("gateway_\(name)")
        for (i, (label, text)) in labels.enumerated() {
            append(i == 0 ? "{" : ",")
            append("\(label)=\"")
            appendEscaped(text)
            append("\"")
        }
        append(labels.isEmpty ? " \(value)\n" : "} \(value)\n")
    }
    /// In a label's value a backslash, a quote and a line feed are escaped, nothing else.
    private mutating func appendEscaped(_ label: String) {
        for byte in label.utf8 {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""):
                text.append(UInt8(ascii: "\\"))
                text.append(byte)
            case UInt8(ascii: "\n"): append("\\n")
            default: text.append(byte)
            }
        }
    }
    private mutating func append(_ string: String) { text.append(contentsOf: string.utf8) }

    /// Nanoseconds as seconds, exactly: a sum of years in a Double would lose the microseconds.
    static func seconds(_ nanoseconds: UInt64) -> String {
        let fraction = String(nanoseconds % 1_000_000_000)
        return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 9 - fraction.count) + fraction
    }
}
