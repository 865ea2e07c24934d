// The control thread's part in the life of keys: when to fetch them, whom to tell, what to keep, which files to read again.
import Bytes
import Configuration
import JOSE
import Reactor
import Telemetry

extension ControlPlane {
    // MARK: fetched keys

    /// The sources of each provider; those that stay the same go on where they were. Returns what the workers are to be told.
    mutating func prepareKeys() -> [WorkerMessage] {
        let older = keys
        keys = configuration.providers.filter { !$0.keySources.isEmpty }.map { provider in
            ProviderKeys(provider, generation: generation, now: loop.now)
        }
        for i in keys.indices {
            if let known = older.first(where: { $0.provider == keys[i].provider }) { keys[i].inherit(known) }
            restoreKeys(i)
        }
        watchKeyFiles()
        return keys.map { .keys(provider: $0.provider, $0.union, version: $0.version) }
    }
    /// What an earlier process kept serves until its source answers.
    private mutating func restoreKeys(_ i: Int) {
        for k in keys[i].sources.indices where keys[i].sources[k].fetched == nil {
            guard let store = store(keys[i], k) else { continue }
            let name = "of provider \"\(keys[i].provider)\" from \(keys[i].sources[k].source.shown)"
            switch store.read() {
            case .nothing: break
            case .unusable(let reason): say(.warning, "kept keys \(name) are not used: \(reason)")
            case .keys(let kept):
                let age = max(0, loop.wallSeconds - kept.fetchedAt)
                if keys[i].restore(k, kept, wallSeconds: loop.wallSeconds, now: loop.now) {
                    say(.notice, "\(kept.set.keys.count) kept keys \(name) serve for now, \(age) s old")
                } else {
                    say(.warning, "kept keys \(name) are not used: they are \(age) s old")
                }
            }
        }
    }
    private func store(_ provider: ProviderKeys, _ source: Int) -> KeyStore? {
        state.map {
            KeyStore($0, provider: provider.provider, issuer: provider.issuer, provider.sources[source].source)
        }
    }

    mutating func refreshKeys() {
        for i in keys.indices { fetch(i, keys[i].beginDue(now: loop.now)) }
    }
    /// Starts what was begun.
    func fetch(_ i: Int, _ sources: [Int]) {
        for k in sources {
            let fetch = KeyFetch(
                provider: keys[i].provider, number: k, source: keys[i].sources[k].source, issuer: keys[i].issuer,
                isInsecure: keys[i].isInsecure, authorities: keys[i].authorities, generation: generation)
            fetch.start(inbox)
        }
    }
    mutating func fetched(_ provider: String, _ source: Int, _ generation: Int, _ result: KeyFetchResult) {
        guard let i = keys.firstIndex(where: { $0.provider == provider && $0.generation == generation }) else { return }
        let refresher = keys[i].sources[source]
        if refresher.isListening { note(result, of: refresher, i) }
        if refresher.isListening, case .keys(let fetched) = result, let store = store(keys[i], source) {
            write(.keep(store, provider: provider, document: fetched.document, fetchedAt: loop.wallSeconds))
        }
        let verdict = keys[i].finished(
            source, result, now: loop.now, wallSeconds: loop.wallSeconds, random: random.next())
        tell(verdict, of: provider)
        // What was not listened to is fetched anew.
        fetch(i, keys[i].beginDue(now: loop.now))
        if !keys[i].isFetching { admin.answerKeys(of: provider, &loop) }
        var begun: [Int] = []
        if keys[i].settle(hasNewKeys: verdict != .nothing, now: loop.now, begun: &begun) { settleKeys(i) }
        fetch(i, begun)
    }
    /// In the log, and for operators who wait for it.
    private mutating func note(_ result: KeyFetchResult, of refresher: KeySetRefresher, _ i: Int) {
        let provider = keys[i].provider
        switch result {
        case .failed(let failure):
            admin.noteKeys("\(refresher.source.shown): \(failure.text)", isFailure: true, of: provider)
            say(.warning, "keys of provider \"\(provider)\" from \(refresher.source.shown): \(failure.text)")
        case .keys(let fetched):
            admin.noteKeys("\(refresher.source.shown): \(fetched.set.keys.count) keys", isFailure: false, of: provider)
            for reason in fetched.set.skipped where refresher.fetched?.skipped != fetched.set.skipped {
                say(.warning, "a key of provider \"\(provider)\" is left out: \(reason)")
            }
        }
    }
    /// A worker has a request that waits for a key. Whoever asks while a fetch runs hears of its end.
    mutating func wantKeys(_ provider: String, version: Int) {
        guard let i = keys.firstIndex(where: { $0.provider == provider }) else { return }
        var begun: [Int] = []
        if keys[i].want(version: version, now: loop.now, begun: &begun) == .refused { settleKeys(i) }
        fetch(i, begun)
    }
    private func settleKeys(_ i: Int) {
        let end = keys[i].noFetchBefore(now: loop.now)
        for worker in workers { worker.post(.keysUnchanged(provider: keys[i].provider, noFetchBefore: end)) }
    }
    mutating func expireKeys() {
        for i in keys.indices { tell(keys[i].expire(now: loop.now), of: keys[i].provider) }
    }
    private func tell(_ verdict: ProviderKeys.Verdict, of provider: String) {
        let version = keys.first { $0.provider == provider }?.version ?? 0
        switch verdict {
        case .nothing: break
        case .install(let keys):
            say(.notice, "provider \"\(provider)\" has \(keys.keys.count) keys")
            for worker in workers { worker.post(.keys(provider: provider, keys, version: version)) }
        case .withdraw:
            say(.error, "provider \"\(provider)\" has no keys of its sources any more")
            for worker in workers { worker.post(.keys(provider: provider, nil, version: version)) }
        }
    }

    // MARK: what operators ask for

    /// Fetches the keys of a provider now, forgetting the ones it has if told so; answers when that is over.
    mutating func renewKeys(_ provider: String, purging isPurge: Bool, for client: SlotID) {
        guard let i = keys.firstIndex(where: { $0.provider == provider }) else {
            return admin.answer(
                client, status: 404, type: "text/plain", body: Array("no such provider with a source of keys\n".utf8),
                &loop)
        }
        say(.notice, "keys of provider \"\(provider)\" are \(isPurge ? "purged" : "fetched") by the admin address")
        if isPurge {
            for k in keys[i].sources.indices {
                if let store = store(keys[i], k) { write(.remove(store)) }
            }
            tell(keys[i].purge(now: loop.now), of: provider)
        }
        admin.waitForKeys(client, of: provider)
        fetch(i, keys[i].beginAll(now: loop.now))
    }

    // MARK: keys of files

    private mutating func watchKeyFiles() {
        let providers = configuration.providers
        let names =
            providers.flatMap(\.keyFiles) + providers.compactMap(\.secretFile) + providers.compactMap(\.apiKeys?.path)
            + (configuration.roles.map { [$0.path] } ?? [])
        if keyFiles.descriptor < 0, !names.isEmpty {
            say(.warning, "files of keys and roles are not read again when they change: the system has no inotify left")
        }
        keyFiles.follow(names)
    }
    /// Reads key files again when something changed beside them. What is bad leaves the old keys in force.
    mutating func rereadKeyFiles() {
        guard keyFiles.takeChange(now: loop.now) else { return }
        rereadRoles()
        for i in configuration.providers.indices {
            rereadKeys(i)
            rereadAPIKeys(i)
        }
    }
    private mutating func rereadKeys(_ i: Int) {
        let provider = configuration.providers[i]
        if provider.keyFiles.isEmpty && provider.secretFile == nil { return }
        switch (KeyFiles.read(provider.keyFiles), provider.secretAgain()) {
        case (.failure(let refusal), _), (_, .failure(let refusal)):
            gauges.keyFileReadsFailed += 1
            say(.error, "the keys of provider \"\(provider.name)\" stay as they are: \(refusal.text)")
        case (.success(let local), .success(let secret)):
            if local == provider.localKeys && secret == provider.secret { return }
            gauges.keyFileReadsSucceeded += 1
            configuration.providers[i].localKeys = local
            configuration.providers[i].secret = secret
            let count = configuration.providers[i].ownKeys.keys.count
            say(.notice, "provider \"\(provider.name)\" has \(count) keys of files that changed")
            for worker in workers { worker.post(.localKeys(provider: provider.name, local, secret: secret)) }
        }
    }
    private mutating func rereadAPIKeys(_ i: Int) {
        let name = configuration.providers[i].name
        guard let known = configuration.providers[i].apiKeys else { return }
        switch known.again() {
        case .failure(let error):
            gauges.keyFileReadsFailed += 1
            say(.error, "the API keys of provider \"\(name)\" stay as they are: \(error.message(known.path))")
        case .success(nil): break
        case .success(let file?):
            gauges.keyFileReadsSucceeded += 1
            configuration.providers[i].apiKeys = file
            say(.notice, "provider \"\(name)\" has \(file.keys.count) API keys of a file that changed")
            for worker in workers { worker.post(.apiKeys(provider: name, file)) }
        }
    }

    /// The same for the roles file, which changes beside them or not.
    private mutating func rereadRoles() {
        guard let roles = configuration.roles else { return }
        switch roles.again() {
        case .failure(let diagnostic):
            gauges.rolesFileReadsFailed += 1
            say(.error, "roles stay as they are: \(diagnostic.rendered)")
        case .success(let new):
            if new == roles { return }
            gauges.rolesFileReadsSucceeded += 1
            configuration.roles = new
            say(.notice, "the roles file has changed: \(new.roles.count) roles")
            for worker in workers { worker.post(.roles(new)) }
        }
    }

    // MARK: numbers

    var keyGauges: [KeySetGauges] {
        configuration.providers.filter { $0.kind == .jwt }.map { provider in
            if let known = keys.first(where: { $0.provider == provider.name }) {
                return known.gauges(local: provider.ownKeys, now: loop.now)
            }
            var gauges = KeySetGauges(provider: provider.name)
            gauges.keys = provider.ownKeys.keys.count
            return gauges
        }
    }

    // MARK: the folder of state

    /// Nil when none is configured.
    static func stateFolder(_ configuration: GatewayConfiguration) throws(Diagnostic) -> StateFolder? {
        guard let path = configuration.process.stateFolder else { return nil }
        do throws(StateError) {
            return try StateFolder(path)
        } catch {
            throw Diagnostic(
                at: SourcePosition(file: path, line: 1, column: 1), "state_dir cannot be used: \(error.text)")
        }
    }
}
