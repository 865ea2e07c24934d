// `gateway keygen`: a signing key for development, its public half and the key set a gateway reads. Unsafe: calls of the
// C library on strings and arrays that outlive the call.
// Unsafe: write() reads an array within one call; strerror()'s text is copied at once.
import ArgumentParser
import Glibc
import JOSE

struct KeygenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keygen", abstract: "Make a signing key: private_key.pem, public_key.pem, jwks.json.",
        discussion: "RSA with 2048 bits unless said otherwise. Prints the key's id (RFC 7638). Overwrites nothing.")

    @Option(help: "An RSA key of so many bits.")
    var rsa: Int?

    @Option(help: "An elliptic-curve key: P-256, P-384 or P-521.")
    var ec: String?

    @Flag(help: "An Ed25519 key.")
    var ed25519 = false

    @Option(help: "The folder to write to; made when it is not there.")
    var out = "keys"

    func validate() throws {
        guard [rsa != nil, ec != nil, ed25519].filter({ $0 }).count <= 1 else {
            throw ValidationError("--rsa, --ec and --ed25519 exclude each other.")
        }
        if let ec, EllipticCurve(name: ec) == nil {
            throw ValidationError("The curve \"\(ec)\" is not supported: use P-256, P-384 or P-521.")
        }
    }
    func run() throws {
        let key: GeneratedKey
        do throws(JOSEError) {
            key = try KeyGenerator.generate(kind)
        } catch {
            Terminal.complain("gateway: no key was made: \(error)")
            throw ExitCode(1)
        }
        if unsafe mkdir(out, 0o700) != 0 && errno != EEXIST { throw failure("cannot make the folder \(out)") }
        try write(key.privatePEM, to: "private_key.pem", mode: 0o600)
        try write(key.publicPEM, to: "public_key.pem", mode: 0o644)
        try write(key.jwks, to: "jwks.json", mode: 0o644)
        print("kid \(key.kid)")
    }
    private var kind: KeyGenerator.Kind {
        if ed25519 { return .ed25519 }
        if let curve = ec.flatMap(EllipticCurve.init(name:)) { return .ec(curve) }
        return .rsa(bits: rsa ?? KeyGenerator.defaultRSABits)
    }
    private func write(_ bytes: [UInt8], to name: String, mode: mode_t) throws {
        let path = "\(out)/\(name)"
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("cannot write \(path)") }
        defer { close(descriptor) }
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count else { throw failure("cannot write \(path)") }
    }
    private func failure(_ what: String) -> ExitCode {
        Terminal.complain("gateway: \(what): \(unsafe String(cString: strerror(errno)))")
        return ExitCode(1)
    }
}
