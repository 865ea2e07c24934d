// Plain sums that belong to no route: connections, bytes, tokens, log lines.

/// One worker's share, or the sum of several. Values that fall as well as rise are signed: their parts may be negative
/// (what one generation of the configuration opened another may close), only their sum is meaningful.
package struct Tally: Sendable, Equatable, BitwiseCopyable {
    package var connectionsAccepted: UInt64 = 0
    package var connectionsActive: Int64 = 0
    /// Idle connections that were closed to make room for new ones.
    package var connectionsEvicted: UInt64 = 0
    /// How often accepting stopped because there was no room.
    package var acceptPauses: UInt64 = 0
    package var tlsHandshakes: UInt64 = 0
    package var tlsHandshakeFailures: UInt64 = 0
    /// The same towards upstreams; of those that came about, the ones that went on with an earlier session.
    package var upstreamHandshakes: UInt64 = 0
    package var upstreamHandshakeFailures: UInt64 = 0
    package var upstreamResumptions: UInt64 = 0
    /// Connections that began with the PROXY protocol, and those that were closed because they should have.
    package var sourcesNamed: UInt64 = 0
    package var sourcesUntrusted: UInt64 = 0
    package var sourcesMalformed: UInt64 = 0
    package var sourcesLate: UInt64 = 0
    /// Connections that carry streams; those that broke the rules or a budget; streams for which there was no room.
    package var sessionsBegun: UInt64 = 0
    package var sessionsFailed: UInt64 = 0
    package var streamsRefused: UInt64 = 0
    /// Requests that became WebSockets, and those that are open.
    package var upgrades: UInt64 = 0
    package var upgradesActive: Int64 = 0
    /// Times that a request was judged again while it ran, and requests that ended so.
    package var tokenRechecks: UInt64 = 0
    package var tokenRecheckEnds: UInt64 = 0
    /// Bytes read from and written to clients, heads and framing included, TLS not.
    package var clientBytesReceived: UInt64 = 0
    package var clientBytesSent: UInt64 = 0
    package var upstreamBytesReceived: UInt64 = 0
    package var upstreamBytesSent: UInt64 = 0
    /// Requests that waited for keys which were being fetched.
    package var keyWaits: UInt64 = 0
    package var keysAwaited: Int64 = 0
    package var tokenCacheHits: UInt64 = 0
    package var tokenCacheNegativeHits: UInt64 = 0
    package var tokenCacheMisses: UInt64 = 0
    package var tokenCacheEvictions: UInt64 = 0
    package var tokenCacheEntries: Int64 = 0
    package var tokenCacheBytes: Int64 = 0
    /// Signatures that were really checked.
    package var signatureVerifications: UInt64 = 0
    /// Requests that passed though no source of revocations had been heard for too long.
    package var staleRevocationPasses: UInt64 = 0
    /// Log lines held back by the limit for their reason, and lines that a full queue dropped.
    package var logLinesSuppressed: UInt64 = 0
    package var logLinesLost: UInt64 = 0

    package init() {}

    package static func += (a: inout Tally, b: Tally) {
        a.connectionsAccepted &+= b.connectionsAccepted
        a.connectionsActive &+= b.connectionsActive
        a.connectionsEvicted &+= b.connectionsEvicted
        a.acceptPauses &+= b.acceptPauses
        a.tlsHandshakes &+= b.tlsHandshakes
        a.tlsHandshakeFailures &+= b.tlsHandshakeFailures
        a.upstreamHandshakes &+= b.upstreamHandshakes
        a.upstreamHandshakeFailures &+= b.upstreamHandshakeFailures
        a.upstreamResumptions &+= b.upstreamResumptions
        a.sourcesNamed &+= b.sourcesNamed
        a.sourcesUntrusted &+= b.sourcesUntrusted
        a.sourcesMalformed &+= b.sourcesMalformed
        a.sourcesLate &+= b.sourcesLate
        a.sessionsBegun &+= b.sessionsBegun
        a.sessionsFailed &+= b.sessionsFailed
        a.streamsRefused &+= b.streamsRefused
        a.upgrades &+= b.upgrades
        a.upgradesActive &+= b.upgradesActive
        a.tokenRechecks &+= b.tokenRechecks
        a.tokenRecheckEnds &+= b.tokenRecheckEnds
        a.clientBytesReceived &+= b.clientBytesReceived
        a.clientBytesSent &+= b.clientBytesSent
        a.upstreamBytesReceived &+= b.upstreamBytesReceived
        a.upstreamBytesSent &+= b.upstreamBytesSent
        a.keyWaits &+= b.keyWaits
        a.keysAwaited &+= b.keysAwaited
        a.tokenCacheHits &+= b.tokenCacheHits
        a.tokenCacheNegativeHits &+= b.tokenCacheNegativeHits
        a.tokenCacheMisses &+= b.tokenCacheMisses
        a.tokenCacheEvictions &+= b.tokenCacheEvictions
        a.tokenCacheEntries &+= b.tokenCacheEntries
        a.tokenCacheBytes &+= b.tokenCacheBytes
        a.signatureVerifications &+= b.signatureVerifications
        a.staleRevocationPasses &+= b.staleRevocationPasses
        a.logLinesSuppressed &+= b.logLinesSuppressed
        a.logLinesLost &+= b.logLinesLost
    }
}
