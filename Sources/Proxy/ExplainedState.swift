// What an explanation takes from `state_dir`: revocations and keys that a gateway keeps there, read and left as they are.
import Bytes
import Configuration
import JOSE
import Policy
import Reactor

/// The journal of revocations, as far as it tells anything.
enum ExplainedJournal {
    /// No `state_dir`.
    case none
    /// Why it was not read.
    case unreadable(String)
    case read(path: String, entries: Int, damaged: Int)

    var isKnown: Bool { if case .read = self { true } else { false } }
    /// Of a credential that is not in it.
    var good: String {
        switch self {
        case .none: "known to a running gateway only: not checked"
        case .unreadable(let reason): "\(reason): not checked"
        case .read: "not \(revoked)"
        }
    }
    /// Of one that is.
    var revoked: String {
        guard case .read(let path, let entries, let damaged) = self else { return "" }
        return "among the \(entries) revocations of \(path)" + (damaged > 0 ? ", \(damaged) lines damaged" : "")
    }
}

extension Explainer {
    /// A moment at which every source of revocations has just been heard: whether one is, only a running gateway knows.
    private static let moment = Instant(nanoseconds: 1)

    /// Reads what is kept in `state_dir` at that time; returns what cannot be used of it, in sentences.
    package mutating func recall(now: Int64) -> [String] {
        guard let folder = configuration.process.stateFolder else { return [] }
        recallRevocations(folder, now)
        return recallKeys(StateFolder(reading: folder), now)
    }

    private mutating func recallRevocations(_ folder: String, _ now: Int64) {
        let path = RevocationJournal.path(in: folder)
        do throws(FileFailure) {
            let contents = try RevocationJournal.read(JournalFile(reading: path), now: now)
            authenticator.revoke(contents.entries, now: now)
            journal = .read(path: path, entries: contents.entries.count, damaged: contents.damaged)
        } catch {
            journal = .unreadable(
                error.isAbsence ? "\(path) is not there" : "\(path) cannot be read, because \(error.text)")
        }
    }

    /// Keys that were said on the command line count instead.
    private mutating func recallKeys(_ folder: StateFolder, _ now: Int64) -> [String] {
        var remarks: [String] = []
        for provider in configuration.providers where !provider.keySources.isEmpty && keys[provider.name] == nil {
            let start = Instant(nanoseconds: 0)
            var kept = ProviderKeys(provider, generation: 0, now: start)
            for i in kept.sources.indices {
                let source = kept.sources[i].source
                let name = "kept keys of provider \"\(provider.name)\" from \(source.shown)"
                switch KeyStore(folder, provider: provider.name, issuer: provider.issuer, source).read() {
                case .nothing: break
                case .unusable(let reason): remarks.append("\(name) are not used: \(reason)")
                case .keys(let found):
                    if !kept.restore(i, found, wallSeconds: now, now: start) {
                        remarks.append("\(name) are not used: they are \(now - found.fetchedAt) s old")
                    }
                }
            }
            guard let union = kept.union else { continue }
            keys[provider.name] = union
            authenticator.install(union, provider: provider.name)
        }
        return remarks
    }

    mutating func isRevoked(_ principals: PrincipalSet, location: Int, now: Int64) -> Bool {
        let block = snapshot.revocations[location]
        guard block >= 0, journal.isKnown else { return false }
        for revocation in configuration.revocations {
            authenticator.heardRevocations(revocation.name, at: Self.moment)
        }
        return authenticator.judge(principals, revocations: block, now: now, time: Self.moment) == .revoked
    }
}
