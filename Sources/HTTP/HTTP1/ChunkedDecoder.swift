// The chunked coding, strict (RFC 9112 section 7.1): one state machine over single bytes, data excepted.
import Bytes

/// Extensions are checked and dropped, trailers checked and told apart: nothing behind us may act on what nobody has authorised.
struct ChunkedDecoder: BitwiseCopyable {
    private enum State: UInt8 {
        case firstDigit, digits, sizeBlank, extensionName, extensionBlank, extensionValue, quoted, escaped, quoteEnd
        case sizeLF, data, dataCR, dataLF
        case trailerStart, trailerName, trailerValue, trailerLF, finalLF, done
    }

    private var state = State.firstDigit
    /// True when the current extension has a name already.
    private var isNamed = false
    private var digitCount: UInt8 = 0
    /// Bytes of extensions on this chunk line.
    private var lineOverhead: UInt16 = 0
    /// Bytes for which the body got no data: extensions and leading zeros.
    private var overhead: UInt16 = 0
    private var trailerCount: UInt16 = 0
    private var trailerLines: UInt8 = 0
    /// Of the current chunk.
    private var left: UInt64 = 0

    init() {}

    var isFinished: Bool { state == .done }

    mutating func next(_ s: borrowing Span<UInt8>) -> BodyPart {
        if state == .done { return .end }
        if s.isEmpty { return .incomplete }
        if state == .data {
            let count = min(UInt64(s.count), left)
            left -= count
            if left == 0 { state = .dataCR }
            return .data(Int(count))
        }
        let isTrailer = isInTrailer
        for i in 0..<s.count {
            if let error = take(s[i]) { return .malformed(error) }
            if state == .done { return .trailer(i + 1) }
            if state == .data || !isTrailer && state == .trailerStart { return .skip(i + 1) }
        }
        return isTrailer ? .trailer(s.count) : .skip(s.count)
    }
    private var isInTrailer: Bool {
        switch state {
        case .trailerStart, .trailerName, .trailerValue, .trailerLF, .finalLF: true
        default: false
        }
    }

    private mutating func take(_ byte: UInt8) -> MessageError? {
        switch state {
        case .firstDigit, .digits: return takeSize(byte)
        case .sizeBlank, .extensionName, .extensionBlank, .extensionValue, .quoted, .escaped, .quoteEnd:
            return takeExtension(byte)
        case .sizeLF:
            if byte != UInt8(ascii: "\n") { return .chunkSize }
            state = left == 0 ? .trailerStart : .data
        case .dataCR:
            if byte != UInt8(ascii: "\r") { return .chunkEnd }
            state = .dataLF
        case .dataLF:
            if byte != UInt8(ascii: "\n") { return .chunkEnd }
            state = .firstDigit
            digitCount = 0
            lineOverhead = 0
        case .trailerStart, .trailerName, .trailerValue, .trailerLF, .finalLF: return takeTrailer(byte)
        case .data, .done: return .chunkSize
        }
        return nil
    }
}

// MARK: the line before the data

extension ChunkedDecoder {
    private mutating func takeSize(_ byte: UInt8) -> MessageError? {
        if let digit = hexDigit(byte) {
            digitCount += 1
            if Int(digitCount) > HTTPLimits.chunkDigitCount || left >> 59 != 0 { return .chunkSize }
            if left == 0, digitCount > 1, let error = spend() { return error }
            left = left << 4 | UInt64(digit)
            state = .digits
            return nil
        }
        guard state == .digits else { return .chunkSize }
        return endElement(byte, orFail: .chunkSize)
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`. A line feed inside one ends the line for some
    /// readers (CVE-2025-55315), so every byte is checked though all are dropped.
    private mutating func takeExtension(_ byte: UInt8) -> MessageError? {
        lineOverhead += 1
        if Int(lineOverhead) > HTTPLimits.chunkExtensionSize { return .chunkExtension }
        if let error = spend() { return error }
        switch state {
        case .quoted:
            if byte == UInt8(ascii: "\"") { state = .quoteEnd; return nil }
            if byte == UInt8(ascii: "\\") { state = .escaped; return nil }
            return isText(byte) ? nil : .chunkExtension
        case .escaped:
            state = .quoted
            return isText(byte) ? nil : .chunkExtension
        case .quoteEnd, .sizeBlank:
            // A blank after the size is only for the semicolon that follows: `5 ` alone is two readings.
            if state == .sizeBlank && byte == UInt8(ascii: "\r") { return .chunkSize }
            return endElement(byte, orFail: .chunkExtension)
        default: return takeExtensionToken(byte)
        }
    }

    private mutating func takeExtensionToken(_ byte: UInt8) -> MessageError? {
        if isTokenCharacter(byte) {
            // A blank inside a token: `a b`.
            if state == .extensionBlank { return .chunkExtension }
            isNamed = true
            return nil
        }
        if isBlank(byte) {
            if isNamed { state = state == .extensionName ? .extensionBlank : .sizeBlank }
            return nil
        }
        if byte == UInt8(ascii: "="), isNamed, state == .extensionName || state == .extensionBlank {
            state = .extensionValue
            isNamed = false
            return nil
        }
        if byte == UInt8(ascii: "\""), state == .extensionValue, !isNamed {
            state = .quoted
            return nil
        }
        return isNamed ? endElement(byte, orFail: .chunkExtension) : .chunkExtension
    }

    /// After a size or an extension: the line's end, blanks, or another extension.
    private mutating func endElement(_ byte: UInt8, orFail error: MessageError) -> MessageError? {
        switch byte {
        case UInt8(ascii: "\r"): state = .sizeLF
        case UInt8(ascii: ";"):
            state = .extensionName
            isNamed = false
        case UInt8(ascii: " "), UInt8(ascii: "\t"): state = .sizeBlank
        default: return error
        }
        return nil
    }

    private mutating func spend() -> MessageError? {
        overhead += 1
        return Int(overhead) > HTTPLimits.chunkOverheadSize ? .chunkOverhead : nil
    }
}

// MARK: the lines after the last chunk

extension ChunkedDecoder {
    private mutating func takeTrailer(_ byte: UInt8) -> MessageError? {
        trailerCount += 1
        if Int(trailerCount) > HTTPLimits.trailerSize { return .trailerTooLarge }
        switch state {
        case .trailerStart:
            if byte == UInt8(ascii: "\r") { state = .finalLF; return nil }
            state = .trailerName
            trailerLines += 1
            if Int(trailerLines) > HTTPLimits.trailerFieldCount { return .trailerTooLarge }
            return isTokenCharacter(byte) ? nil : .trailer
        case .trailerName:
            if byte == UInt8(ascii: ":") { state = .trailerValue; return nil }
            return isTokenCharacter(byte) ? nil : .trailer
        case .trailerValue:
            if byte == UInt8(ascii: "\r") { state = .trailerLF; return nil }
            return isText(byte) ? nil : .trailer
        case .trailerLF: state = .trailerStart
        default: state = .done
        }
        return byte == UInt8(ascii: "\n") ? nil : .trailer
    }
}

/// What may stand in a field value, and in a quoted string: no control byte but HTAB.
private func isText(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7f || byte == UInt8(ascii: "\t") }

private func isTokenByte(_ byte: UInt8) -> Bool { isTokenCharacter(byte) }

private func hexDigit(_ byte: UInt8) -> UInt8? {
    let digit = byte &- UInt8(ascii: "0")
    if digit < 10 { return digit }
    let letter = lowerCase(byte) &- UInt8(ascii: "a")
    return letter < 6 ? letter + 10 : nil
}
