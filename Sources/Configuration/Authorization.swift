// Who may do what in a location.

/// What a request needs to be let into a location. Two locations with equal values have the same access (path guard).
package struct Access: Sendable, Equatable, Hashable {
    /// Index of the provider; nil: `auth off`.
    package var provider: Int?
    /// Each `require permission` line is an item of its own; all of them must be had.
    package var permissions: [RequiredPermission] = []

    package init() {}
}

/// `require permission NAME`
package struct RequiredPermission: Sendable, Equatable, Hashable {
    package var name: String

    package init(name: String) { self.name = name }
}
