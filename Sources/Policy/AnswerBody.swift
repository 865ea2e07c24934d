// What an answer of the gateway's own says in its body, in each of the forms there are.
import Bytes
import Configuration

/// Its texts are fixed words of ASCII, and what is not fixed is a number or hexadecimal: no form needs an escape.
enum AnswerBody {
    static func append(_ answer: LocalResponse.Answer, _ form: ResponseForm, to body: inout ByteBuffer) {
        switch form.format {
        case .problem: appendProblem(answer, form, to: &body)
        case .page: appendPage(answer, form, to: &body)
        case .text: appendText(answer, form, to: &body)
        case .grpc: break
        }
    }

    /// RFC 9457 section 3.
    private static func appendProblem(
        _ answer: LocalResponse.Answer, _ form: ResponseForm, to body: inout ByteBuffer
    ) {
        body.append("{\"type\":\"about:blank\",\"title\":\"")
        body.append(StatusPhrase.of(answer.status))
        body.append("\",\"status\":")
        body.append(decimal: UInt64(answer.status))
        if form.shows(answer.code) {
            body.append(",\"code\":\"")
            body.append(answer.code)
            body.append("\"")
        }
        if form.explains(answer.detail) {
            body.append(",\"detail\":\"")
            body.append(answer.detail)
            body.append("\"")
        }
        if form.requestID != .none {
            body.append(",\"request_id\":\"")
            form.requestID.append(to: &body)
            body.append("\"")
        }
        body.append("}\n")
    }

    private static func appendText(_ answer: LocalResponse.Answer, _ form: ResponseForm, to body: inout ByteBuffer) {
        body.append(decimal: UInt64(answer.status))
        body.append(" ")
        body.append(StatusPhrase.of(answer.status))
        body.append("\n")
        if form.explains(answer.detail) {
            body.append(answer.detail)
            body.append("\n")
        }
        if form.shows(answer.code) {
            body.append("code: ")
            body.append(answer.code)
            body.append("\n")
        }
        if form.requestID != .none {
            body.append("request: ")
            form.requestID.append(to: &body)
            body.append("\n")
        }
    }

    /// A page that loads and runs nothing.
    private static func appendPage(_ answer: LocalResponse.Answer, _ form: ResponseForm, to body: inout ByteBuffer) {
        body.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        body.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>")
        body.append(decimal: UInt64(answer.status))
        body.append(" ")
        body.append(StatusPhrase.of(answer.status))
        body.append("</title>\n<style>")
        body.append(style)
        body.append("</style>\n</head>\n<body>\n<main>\n<p>")
        body.append(decimal: UInt64(answer.status))
        body.append("</p>\n<h1>")
        body.append(StatusPhrase.of(answer.status))
        body.append("</h1>\n")
        if form.explains(answer.detail) {
            body.append("<p>")
            body.append(answer.detail)
            body.append(".</p>\n")
        }
        if form.shows(answer.code) {
            body.append("<p>Code <code>")
            body.append(answer.code)
            body.append("</code></p>\n")
        }
        if form.requestID != .none {
            body.append("<p>Request <code>")
            form.requestID.append(to: &body)
            body.append("</code></p>\n")
        }
        body.append("</main>\n</body>\n</html>\n")
    }

    private static var style: StaticString {
        """
        :root{color-scheme:light dark}\
        body{font:1rem/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0 1rem}\
        main{max-width:34rem}h1{margin:0 0 1rem}p{margin:.25rem 0}code{overflow-wrap:anywhere}
        """
    }
    /// Nothing may be loaded or run but this style, which is named by its SHA-256.
    static var pagePolicy: StaticString {
        """
        default-src 'none'; style-src 'sha256-Tn6lTjkvkvlD9ITuaDo0ljCYVmGK9EqAle+l7NPrCyU='; base-uri 'none'; \
        form-action 'none'; frame-ancestors 'none'
        """
    }
}

extension ResponseForm {
    fileprivate func shows(_ code: StaticString) -> Bool { detail != .none && code.utf8CodeUnitCount > 0 }
    fileprivate func explains(_ detail: StaticString) -> Bool {
        self.detail == .full && detail.utf8CodeUnitCount > 0
    }
}
