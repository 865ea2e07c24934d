// The key ring on disk: the active pair, `next/` with the pair that follows it, `retired/` with public keys and their ends.
import Foundation

struct KeyFiles: Sendable {
    let privateKey: String
    let publicKey: String

    private var folder: String { URL(fileURLWithPath: privateKey).deletingLastPathComponent().path }
    private var nextPrivate: String { folder + "/next/private_key.pem" }
    private var nextPublic: String { folder + "/next/public_key.pem" }
    private var retiredFolder: String { folder + "/retired" }

    /// The ring as it lies there; the active key must be private to its owner and belong to its public half.
    func ring() async throws(StartupFailure) -> KeyRing {
        let lock = try? KeyFilesLock(folder: folder)
        defer { lock?.release() }
        await finishInterruptedRotation()
        try FileReading.requirePrivate(privateKey)
        let active = try await signingKey(privateKey)
        // With halves of two pairs every token that we sign would be refused by whoever verifies it.
        guard try await verificationKey(publicKey).id == active.verification.id else {
            throw StartupFailure("\(publicKey) is not the public half of \(privateKey)")
        }
        let next = FileManager.default.fileExists(atPath: nextPublic) ? try await verificationKey(nextPublic) : nil
        return KeyRing(active: active, activeSince: activeSince, next: next, retired: try await retired())
    }

    /// Makes the next pair, of the active one's kind, where there is none.
    func provideNext(algorithm: String) throws(StartupFailure) {
        let lock = try KeyFilesLock(folder: folder)
        defer { lock.release() }
        let files = FileManager.default
        if files.fileExists(atPath: nextPrivate), files.fileExists(atPath: nextPublic) { return }
        try writeNext(algorithm: algorithm)
    }

    /// next becomes active, active retired until `retiredUntil`, and a new next is made. Refuses a next key that has been
    /// published for less than `publishedSeconds`: who holds an older key set would refuse what it signs.
    func rotate(retiredUntil: Int64, publishedSeconds: Int, now: Date) async throws(StartupFailure) {
        let lock = try KeyFilesLock(folder: folder)
        defer { lock.release() }
        await finishInterruptedRotation()
        let old = try await verificationKey(publicKey)
        guard FileManager.default.fileExists(atPath: nextPublic) else {
            throw StartupFailure("\(nextPublic): there is no next key yet; the backend makes it as it starts")
        }
        guard try await verificationKey(nextPublic).id == signingKey(nextPrivate).verification.id else {
            throw StartupFailure("\(nextPublic) is not the public half of \(nextPrivate)")
        }
        let published = FileReading.modified(nextPublic) ?? now
        guard now.timeIntervalSince(published) >= Double(publishedSeconds) else {
            // The same text for every try: whoever logs it can tell that nothing has changed.
            throw StartupFailure(
                "\(nextPublic): the next key has been published for less than \(publishedSeconds) seconds, since "
                    + "\(published.formatted(.iso8601)); not every gateway knows it")
        }
        try Self.makeFolder(retiredFolder)
        try FileReading.replacePrivately(
            "\(retiredFolder)/\(retiredUntil).\(old.id).pem", with: FileReading.bytes(of: publicKey))
        // The age of the active key counts from here.
        try? FileManager.default.setAttributes([.modificationDate: now], ofItemAtPath: nextPrivate)
        // The private half moves first: `finishInterruptedRotation` recognizes and repairs the state after it.
        try Self.move(nextPrivate, to: privateKey)
        try Self.move(nextPublic, to: publicKey)
        try writeNext(algorithm: old.algorithmName)
    }

    /// When the active key began to sign.
    var activeSince: Date? { FileReading.modified(privateKey) }

    /// Changes when any key does.
    var stamp: [String] {
        let retired = (try? FileManager.default.contentsOfDirectory(atPath: retiredFolder)) ?? []
        let files = [privateKey, publicKey, nextPrivate, nextPublic].map { path in
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            let inode = attributes?[.systemFileNumber] as? NSNumber
            let size = attributes?[.size] as? NSNumber
            return "\(path) \(inode ?? 0) \(size ?? 0) \(FileReading.modified(path)?.timeIntervalSince1970 ?? 0)"
        }
        return files + retired.sorted()
    }

    /// Deletes public keys whose last token has expired.
    func sweepRetired(now: Int64) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: retiredFolder)) ?? [] {
            guard let until = Self.end(ofRetired: name), until <= now else { continue }
            try? FileManager.default.removeItem(atPath: "\(retiredFolder)/\(name)")
        }
    }

    // MARK: parts of the above

    /// A crash between the two moves of a rotation leaves the new private half beside the old public one.
    private func finishInterruptedRotation() async {
        guard !FileManager.default.fileExists(atPath: nextPrivate),
            let active = try? await signingKey(privateKey).verification,
            let next = try? await verificationKey(nextPublic), next.id == active.id
        else { return }
        try? Self.move(nextPublic, to: publicKey)
    }

    private func writeNext(algorithm: String) throws(StartupFailure) {
        let pair = try KeyPair(algorithm: algorithm)
        try Self.makeFolder(folder + "/next")
        // Nobody may see the public half of one pair beside the private half of another.
        try? FileManager.default.removeItem(atPath: nextPublic)
        try FileReading.replacePrivately(nextPrivate, with: Array((pair.privatePEM + "\n").utf8))
        try FileReading.replacePrivately(nextPublic, with: Array((pair.publicPEM + "\n").utf8))
    }

    private func retired() async throws(StartupFailure) -> [KeyRing.Retired] {
        var keys: [KeyRing.Retired] = []
        for name in ((try? FileManager.default.contentsOfDirectory(atPath: retiredFolder)) ?? []).sorted() {
            guard let until = Self.end(ofRetired: name) else { continue }
            keys.append(KeyRing.Retired(key: try await verificationKey("\(retiredFolder)/\(name)"), until: until))
        }
        return keys
    }

    /// The seconds since 1970 in `1767225600.THUMBPRINT.pem`.
    private static func end(ofRetired name: String) -> Int64? {
        guard name.hasSuffix(".pem") else { return nil }
        return name.split(separator: ".").first.flatMap { Int64($0) }
    }

    private func signingKey(_ path: String) async throws(StartupFailure) -> SigningKey {
        try await Self.read(path) { (pem) async throws(StartupFailure) in try await SigningKey(pem: pem) }
    }

    private func verificationKey(_ path: String) async throws(StartupFailure) -> VerificationKey {
        try await Self.read(path) { (pem) async throws(StartupFailure) in try await VerificationKey(pem: pem) }
    }

    private static func read<Key>(
        _ path: String, _ parse: (String) async throws(StartupFailure) -> Key
    ) async throws(StartupFailure) -> Key {
        let pem = String(decoding: try FileReading.bytes(of: path), as: UTF8.self)
        do throws(StartupFailure) {
            return try await parse(pem)
        } catch {
            throw StartupFailure("\(path): \(error)")
        }
    }

    private static func makeFolder(_ path: String) throws(StartupFailure) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StartupFailure("\(path): the folder cannot be made: \(error.localizedDescription)")
        }
    }

    private static func move(_ path: String, to target: String) throws(StartupFailure) {
        guard unsafe rename(path, target) == 0 else { throw StartupFailure("\(path): it cannot be moved to \(target)") }
    }
}
