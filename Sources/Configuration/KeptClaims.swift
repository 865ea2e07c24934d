// Which claims the configuration ever asks for.

/// What is kept of each verified credential beside subject and permissions: only what some location or field asks for.
package struct KeptClaims: Sendable, Equatable {
    /// Each is looked for in every new credential.
    package static let maximumPaths = 64

    package var scopes = false
    package var roles = false
    /// In the order in which compiled rules and fields name them.
    package var paths: [ClaimPath] = []

    package init() {}

    package mutating func keep(_ path: ClaimPath) {
        if !paths.contains(path) { paths.append(path) }
    }
    /// Of the rules and templates that were compiled against this value.
    package func index(of path: ClaimPath) -> Int? { paths.firstIndex(of: path) }
}

extension GatewayConfiguration {
    /// Every claim that some rule or template of a location names.
    mutating func collectClaims() {
        var kept = KeptClaims()
        for location in locations {
            let access = location.access
            kept.scopes = kept.scopes || access.needs(.scope)
            // What roles grant is among the permissions that are required, and told.
            kept.roles = kept.roles || access.needs(.role) || roles != nil && !access.providers.isEmpty
            for condition in access.requirements.flatMap(\.conditions) { kept.keep(condition.path) }
            for template in location.templates {
                for case .variable(.claim(let path)) in template.pieces { kept.keep(path) }
            }
        }
        for provider in providers {
            for field in provider.copiedFields { kept.keep(ClaimPath([field])) }
        }
        keptClaims = kept
        for index in providers.indices { providers[index].kept = kept }
    }
}

extension Location {
    /// Every text of the location that is filled in for a request.
    fileprivate var templates: [Template] {
        var all = identityHeaders.map(\.value) + addedHeaders.map(\.field.value)
        switch action {
        case .notFound, .identityKeys: break
        case .answer(_, let text): all.append(text)
        case .proxy(let proxy): all += proxy.setHeaders.map(\.value) + [proxy.host]
        }
        if case .text(let template)? = accessLog?.format { all.append(template) }
        return all
    }
}
