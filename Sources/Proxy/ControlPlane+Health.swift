// Who is asked whether it can serve, and what is said and counted of the answers.
import Bytes
import Configuration
import Policy
import Reactor
import Telemetry

/// Runs once some configuration has a `health_check`.
struct HealthWatch {
    var checker: Mailbox<HealthCommand>?
    var gauges: [HealthGauges] = []
}

extension ControlPlane {
    /// After the workers were told of the configuration: what they hear of health is about its groups.
    mutating func watchHealth() {
        let targets = HealthTarget.all(of: configuration)
        health.gauges = targets.map { target in
            health.gauges.first { $0.upstream == target.upstream && $0.server == target.name }
                ?? HealthGauges(upstream: target.upstream, server: target.name)
        }
        if health.checker == nil && targets.isEmpty { return }
        let checker = health.checker ?? Mailbox<HealthCommand>()
        if health.checker == nil { HealthChecker.start(checker, workers: workers, control: inbox) }
        health.checker = checker
        checker.post(.watch(targets))
    }
    mutating func checked(_ outcome: HealthOutcome) {
        let target = outcome.target
        let place = health.gauges.firstIndex { $0.upstream == target.upstream && $0.server == target.name }
        if let place { health.gauges[place].note(passed: outcome.failure == nil, isHealthy: outcome.isHealthy) }
        guard outcome.isChange else { return }
        let who = "server \(target.name) of upstream \(target.upstream)"
        if outcome.isHealthy { return say(.notice, "\(who) is healthy again") }
        say(.warning, "\(who) is unhealthy and gets no requests: \(outcome.failure ?? "")")
    }
}

extension HealthTarget {
    /// Of every group that some location sends requests to.
    static func all(of configuration: GatewayConfiguration) -> [HealthTarget] {
        var used = Set<Int>()
        for location in configuration.locations {
            if case .proxy(let pass) = location.action { used.insert(pass.upstream) }
        }
        return configuration.upstreams.enumerated().flatMap { group, upstream -> [HealthTarget] in
            guard let check = upstream.healthCheck, used.contains(group) else { return [] }
            var isFramed = upstream.isFramed
            if case .grpc = check.kind { isFramed = true }
            return upstream.endpoints.enumerated().filter { !$0.element.isDown }.map { peer, endpoint in
                HealthTarget(
                    group: group, upstream: upstream.name, peer: peer, name: endpoint.name, address: endpoint.address,
                    authority: upstream.authority, tls: upstream.tls, isFramed: isFramed, check: check)
            }
        }
    }
}

extension Worker {
    /// A message that was on its way while the configuration changed is about another group: then another one follows.
    mutating func setHealth(_ group: Int, _ name: String, peer: Int, isHealthy: Bool) {
        guard snapshots[current].configuration.upstreams.indices.contains(group),
            snapshots[current].configuration.upstreams[group].name == name
        else { return }
        snapshots[current].balancers[group].setHealth(peer, isHealthy: isHealthy)
    }
}
