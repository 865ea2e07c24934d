// A request's fields as they arrive one by one, counted and checked before anything is kept or joined.
package import Bytes

/// One field section of a version whose names and values come apart. It is written out as the text of a head, in which
/// nothing can stand that was not checked here, so that every head is judged by the same parser.
package struct FieldSection: ~Copyable {
    /// Of one head: a browser sends one field for each cookie, so they are counted apart from the other fields.
    static var crumbLimit: Int { 256 }
    /// What each crumb counts beside its bytes: joined crumbs are short, their number is what costs.
    static var crumbOverhead: Int { 32 }
    /// Enough for the method and the scheme, and to begin a path with.
    private static var startSize: Int { 256 }

    /// Bytes of memory that are kept for the next section.
    private static var keptSize: Int { 8 * 1024 }

    private let limits: HTTPLimits
    private var isTrailer: Bool
    /// Values of the pseudo-fields, one after the other.
    private var pseudo = ByteBuffer(capacity: FieldSection.startSize)
    private var method: Range<Int>?
    private var scheme: Range<Int>?
    private var authority: Range<Int>?
    private var path: Range<Int>?
    /// Of an extended CONNECT (RFC 8441).
    private var tunnelled: Range<Int>?
    private var lines = ByteBuffer(capacity: FieldSection.startSize)
    private var crumbs = ByteBuffer(capacity: 0)
    private var crumbCount = 0
    /// Where among the lines the joined cookie goes: where the first crumb stood.
    private var cookiePlace = 0
    private var count = 0
    private var size = 0
    private var hasHost = false
    /// The first thing that was wrong; nothing is kept after it.
    package private(set) var error: MessageError?

    package init(limits: HTTPLimits, isTrailer: Bool = false) {
        self.limits = limits
        self.isTrailer = isTrailer
    }

    /// Forgets everything: another section begins, in the same memory.
    package mutating func begin(isTrailer: Bool) {
        self.isTrailer = isTrailer
        pseudo.clear()
        lines.clear()
        crumbs.clear()
        (method, scheme, authority, path, tunnelled) = (nil, nil, nil, nil, nil)
        (crumbCount, cookiePlace, count, size) = (0, 0, 0, 0)
        hasHost = false
        error = nil
    }
    /// The memory of a large section is not kept by an idle connection.
    package mutating func forgetLarge() {
        if size > Self.keptSize { self = FieldSection(limits: limits) }
    }

    package mutating func refuse(_ reason: MessageError) { if error == nil { error = reason } }

    /// Counts the field, and keeps it if it is in order.
    package mutating func add(_ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) {
        guard error == nil else { return }
        let isCrumb = name.count == 6 && name.matches(0, "cookie")
        size += name.count + value.count + (isCrumb ? Self.crumbOverhead : 4)
        if size > (isTrailer ? HTTPLimits.trailerSize : limits.headSize) {
            error = isTrailer ? .trailerTooLarge : .headTooLarge
        } else if !isSafe(value) {
            error = .fieldValue
        } else if name.count > 0, name[0] == UInt8(ascii: ":") {
            error = addPseudo(name, value)
        } else if !isLowerCaseToken(name) {
            error = .fieldName
        } else if isCrumb && !isTrailer {
            error = addCrumb(value)
        } else {
            error = addLine(name, value)
        }
    }

    private mutating func addCrumb(_ value: borrowing Span<UInt8>) -> MessageError? {
        crumbCount += 1
        if crumbCount > Self.crumbLimit { return .tooManyFields }
        if crumbCount == 1 { cookiePlace = lines.count } else { crumbs.append("; ") }
        crumbs.append(value)
        return nil
    }

    private mutating func addLine(_ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) -> MessageError? {
        count += 1
        if count > limits.fieldCount { return .tooManyFields }
        let id = FieldName(name, 0, name.count)
        switch id {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: return .fieldName
        case .te where !(value.count == 8 && value.folds(0, to: "trailers")): return .fieldValue
        case .host where isTrailer, .contentLength where isTrailer: return .trailer
        case .host:
            if hasHost { return .host }
            hasHost = true
            // RFC 9113 section 8.3.1: two names for one request are two requests to two servers.
            if let authority { return pseudo.bytes.extracting(authority).isEqual(to: value) ? nil : .host }
        default: break
        }
        lines.append(name)
        lines.append(": ")
        lines.append(value)
        lines.append("\r\n")
        return nil
    }

    /// Each once, and before all other fields (RFC 9113 section 8.3).
    private mutating func addPseudo(_ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) -> MessageError? {
        if isTrailer || count > 0 || crumbCount > 0 || value.count == 0 { return .requestLine }
        let range = pseudo.count..<pseudo.count + value.count
        pseudo.append(value)
        if name.count == 7, name.matches(0, ":method"), method == nil {
            method = range
        } else if name.count == 7, name.matches(0, ":scheme"), scheme == nil {
            scheme = range
        } else if name.count == 10, name.matches(0, ":authority"), authority == nil {
            authority = range
        } else if name.count == 5, name.matches(0, ":path"), path == nil {
            path = range
        } else if name.count == 9, name.matches(0, ":protocol"), tunnelled == nil {
            tunnelled = range
        } else {
            return .requestLine
        }
        return nil
    }
}

// MARK: the end of a section

extension FieldSection {
    /// Appends the section as the text of a head, or of trailer lines. Or says why there is none.
    package mutating func write(to out: inout ByteBuffer) -> MessageError? {
        if let error { return error }
        if isTrailer {
            out.append(lines.bytes)
            return nil
        }
        if let error = writeRequestLine(to: &out) { return error }
        if let authority {
            out.append("host: ")
            out.append(pseudo.bytes.extracting(authority))
            out.append("\r\n")
        }
        // No client could write these two itself: whoever reads the head knows by them what it was.
        if tunnelled != nil { out.append("connection: upgrade\r\nupgrade: websocket\r\n") }
        let text = lines.bytes
        if crumbCount == 0 {
            out.append(text)
        } else {
            out.append(text.extracting(0..<cookiePlace))
            out.append("cookie: ")
            out.append(crumbs.bytes)
            out.append("\r\n")
            out.append(text.extracting(cookiePlace..<text.count))
        }
        out.append("\r\n")
        return nil
    }

    private func writeRequestLine(to out: inout ByteBuffer) -> MessageError? {
        let text = pseudo.bytes
        guard let method else { return .requestLine }
        if method.count > HTTPLimits.methodSize { return .methodTooLong }
        let isMethod = method.count == 7 && text.matches(method.lowerBound, "CONNECT")
        let isConnect = isMethod && tunnelled == nil
        if let tunnelled {
            // RFC 8441 section 4: the request is what a GET with Upgrade is in HTTP/1.
            guard isMethod, authority != nil else { return .requestLine }
            guard tunnelled.count == 9, text.matches(tunnelled.lowerBound, "websocket") else { return .tunnelProtocol }
        }
        guard text.endOfToken(from: method.lowerBound) >= method.upperBound else { return .requestLine }
        guard let target = isConnect ? authority : path, isConnect == (path == nil), isConnect == (scheme == nil)
        else { return .requestLine }
        if let scheme, !isWeb(text, scheme) { return .requestLine }
        let first = text[target.lowerBound]
        // An absolute form would be a third name for the server.
        if !isConnect, first != UInt8(ascii: "/"), first != UInt8(ascii: "*") { return .target }
        if text.endOfTarget(from: target.lowerBound) < target.upperBound { return .target }
        if tunnelled == nil { out.append(text.extracting(method)) } else { out.append("GET") }
        out.append(" ")
        out.append(text.extracting(target))
        out.append(" HTTP/1.1\r\n")
        return nil
    }

    private func isWeb(_ text: borrowing Span<UInt8>, _ scheme: Range<Int>) -> Bool {
        scheme.count == 5 && text.matches(scheme.lowerBound, "https")
            || scheme.count == 4 && text.matches(scheme.lowerBound, "http")
    }

    private func isLowerCaseToken(_ name: borrowing Span<UInt8>) -> Bool {
        for i in 0..<name.count where !isTokenCharacter(name[i]) || name[i] &- UInt8(ascii: "A") < 26 { return false }
        return name.count > 0
    }

    /// RFC 9113 section 8.2.1: no control characters, which would begin a line of their own, and no blanks around it.
    private func isSafe(_ value: borrowing Span<UInt8>) -> Bool {
        guard value.endOfValue(from: 0) == value.count else { return false }
        return value.count == 0 || !isBlank(value[0]) && !isBlank(value[value.count - 1])
    }
}

extension RequestHead {
    /// Parses what a field section wrote. A body without a length is as one in chunks: it ends when its sender says so.
    package mutating func parse(section: Span<UInt8>, endsStream: Bool, limits: HTTPLimits) -> MessageError? {
        switch parse(section, limits: limits) {
        case .failed(let error): return error
        case .incomplete:
            clear()
            return .requestLine
        case .complete: isFramed = true
        }
        if endsStream && contentLength > 0 {
            clear()
            return .contentLength
        }
        // What follows an extended CONNECT is no body, but the other protocol.
        if !endsStream && framing == .none && !hasUpgrade {
            framing = .chunked
            expectsContinue = fields.contains(.expect)
        }
        return nil
    }
}

extension ResponseHead {
    /// Parses a head that came in fields and was written out as text. A body without a length is as one in chunks.
    package mutating func parse(section: Span<UInt8>, isWhole: Bool, isHEAD: Bool) -> MessageError? {
        switch parse(section, isHEAD: isHEAD) {
        case .failed(let error): return error
        case .incomplete:
            clear()
            return .statusLine
        case .complete: break
        }
        self.isWhole = isWhole
        if framing == .untilClose { framing = .chunked }
        wantsClose = false
        return nil
    }
}
