// The lists that the tests of the source tree hold it to. An exception stands here with its reason or not at all.

enum Rules {
    /// What each target may import of ours: the order of docs/architecture.md, in which no arrow runs up or sideways.
    static let imports: [String: Set<String>] = [
        "Bytes": ["CScan"],
        "JSON": ["Bytes"],
        "HTTP": ["Bytes"],
        "Reactor": ["Bytes", "CLinux"],
        "Telemetry": ["Bytes", "JSON"],
        "JOSE": ["Bytes", "JSON", "COpenSSL"],
        "Configuration": ["Bytes", "JSON", "HTTP", "JOSE"],
        "HTTP2": ["Bytes", "HTTP", "CNGHTTP2"],
        "Transport": ["Bytes", "Reactor", "COpenSSL"],
        "Connections": ["Bytes", "HTTP", "HTTP2", "Transport", "Reactor"],
        "Policy": ["Bytes", "JSON", "HTTP", "JOSE", "Configuration", "CPCRE2"],
        "Proxy": [
            "Bytes", "JSON", "HTTP", "JOSE", "Configuration", "Telemetry", "Reactor", "Transport", "Connections",
            "Policy", "CHiredis",
        ],
        "gateway": ["Proxy", "Policy", "Configuration", "JOSE", "HTTP", "JSON", "Telemetry", "Bytes"],
    ]

    /// What of the system each target may import beside that.
    static let systemImports: [String: Set<String>] = [
        // calloc(), whose pages cost nothing until they are written; Atomic, for values that must not be copied
        "Bytes": ["Glibc", "Synchronization"],
        "Reactor": ["Glibc", "Synchronization"],  // threads, descriptors, the one mutex
        "Configuration": ["Glibc"],  // reads the files that a configuration names
        "Proxy": ["Glibc", "Synchronization"],  // the process: its number, its name, its limits, its log files
        "gateway": ["Glibc", "ArgumentParser"],
    ]

    /// The files in which unsafe code may stand, each with the reason. Everything else works on spans and checked subscripts.
    static let unsafeFiles: [String: String] = [
        "Sources/Bytes/BufferPool.swift": "blocks of memory that go from hand to hand",
        "Sources/Bytes/ByteBuffer.swift": "the growing buffer",
        "Sources/Bytes/ByteQueue.swift": "what waits for a socket, in a block of the pool",
        "Sources/Bytes/FixedArray.swift": "arrays that a borrow does not copy",
        "Sources/Bytes/Scan.swift": "vector scans",
        "Sources/Bytes/SlotTable.swift": "slots that never move, behind a checked subscript",
        "Sources/Bytes/ZeroedArray.swift": "memory that the kernel zeroes",
        "Sources/Configuration/HostResolution.swift": "getaddrinfo()",
        "Sources/Configuration/SourceFile.swift": "reading files and patterns by system calls",
        "Sources/HTTP2/ClientCallbacks.swift": "what nghttp2 calls for a client",
        "Sources/HTTP2/HTTP2ClientSession.swift": "one session of nghttp2, for a client",
        "Sources/HTTP2/HTTP2Session.swift": "one session of nghttp2",
        "Sources/HTTP2/OwnedSession.swift": "a session of nghttp2, and what its callbacks write to",
        "Sources/HTTP2/SessionCallbacks.swift": "what nghttp2 calls",
        "Sources/JOSE/MessageDigest.swift": "OpenSSL's digests",
        "Sources/JOSE/PublicKey.swift": "OpenSSL imports and makes keys",
        "Sources/JOSE/SHA1.swift": "OpenSSL's digest, for handshakes",
        "Sources/JOSE/SHA256.swift": "OpenSSL's digest",
        "Sources/JOSE/SecretKey.swift": "OpenSSL checks HMACs",
        "Sources/JOSE/PKCS1Verifier.swift": "OpenSSL's numbers of an RSA key",
        "Sources/JOSE/VerifyingKey.swift": "OpenSSL checks signatures",
        "Sources/JSON/JSONEvent.swift": "compares with literals",
        "Sources/Policy/Pattern.swift": "PCRE2",
        "Sources/Proxy/Gateway.swift": "unlink()",
        "Sources/Proxy/ProcessIdentity.swift": "gethostname()",
        "Sources/Proxy/RedisReplies.swift": "hiredis reads replies",
        "Sources/Reactor/EventLoop.swift": "epoll",
        "Sources/Reactor/FolderWatch.swift": "inotify",
        "Sources/Reactor/JournalFile.swift": "a journal by system calls",
        "Sources/Reactor/LogFile.swift": "log files by system calls",
        "Sources/Reactor/Socket.swift": "socket calls",
        "Sources/Reactor/StateFolder.swift": "files that must be replaced whole",
        "Sources/Reactor/Thread.swift": "threads",
        "Sources/gateway/KeygenCommand.swift": "writing key files",
        "Sources/gateway/Terminal.swift": "standard output and the environment",
        "Sources/Transport/ServerCertificate.swift": "OpenSSL's certificates and keys",
        "Sources/Transport/TLSContext.swift": "OpenSSL's settings of TLS",
        "Sources/Transport/TLSSession.swift": "one TLS connection of OpenSSL",
        "Sources/Transport/UpstreamSecurity.swift": "OpenSSL's settings and sessions for upstreams",
    ]
    static let unsafeFileLength = 300

    /// Words that no type or file may be made of: they say that something is there, not what it is.
    static let bannedNames = ["Manager", "Helper", "Util", "Common", "Base", "Impl", "Context", "Data", "Info"]

    /// Names that contain such a word as part of a term of the field.
    static let allowedNames: Set<String> = [
        "Base64", "Base64URL",  // RFC 4648
        "TLSContext",  // OpenSSL's SSL_CTX, as docs/architecture.md names it
        "Database",  // a database
    ]

    /// Calls that the gateway does not make, and what to use instead.
    static var bannedCalls: [(pattern: Regex<Substring>, instead: String)] {
        [
            (/^\s*print\(/, "a log line; programs write through their own output"),
            (/\bfatalError\(/, "a typed error; peers never reach a precondition"),
            (/\btry!/, "a typed error"),
            (/@unchecked Sendable/, "a value; only the mailbox is shared"),
            (/\bnonisolated\(unsafe\)/, "a value that is passed on"),
            (/\bunsafeBitCast\b/, "a conversion that is checked"),
            (/\bDispatchQueue\b|\bDispatchSource/, "the event loop"),
            (/\basync\b|\bawait\b/, "the event loop: nothing in the data plane is suspended"),
            (/\bDate\(\)/, "the loop's clock, passed as an argument"),
            (/\bContinuousClock\b|\bSuspendingClock\b/, "Instant, passed as an argument"),
            (/: OptionSet\b/, "a struct with Bool properties: a literal of another module's option set allocates"),
            (/\bArray<UInt8>\(|\bUnsafeMutableBufferPointer<UInt8>\.allocate/, "ByteBuffer, or [UInt8]"),
        ]
    }
    /// Where such a call is right, with the reason.
    static let allowedCalls: [String: String] = [
        "Sources/Reactor/Mailbox.swift": "the mailbox is the one thing that threads share",
        "Sources/Transport/ServerCertificate.swift": "OpenSSL itself counts who holds a certificate, from any thread",
        "Sources/Policy/Pattern.swift": "no memory for PCRE2: there is nothing to go on with",
        "Sources/Bytes/ZeroedArray.swift": "no memory: there is nothing to go on with",
        "Sources/gateway": "the program speaks to the person who called it",
    ]

    static let fileLength = 500
    static let functionLength = 60
    /// Functions that are longer for a reason: `path:name`.
    static let longFunctions: [String: String] = [
        "Sources/Policy/LocalResponse.swift:answer": "a table: one row for each refusal"
    ]
}
