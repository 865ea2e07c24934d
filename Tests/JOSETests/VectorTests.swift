// The examples of the RFCs: signatures that somebody else made.
import JOSE
import JSON
import Testing
import TokenSigning

@Suite struct VectorTests {
    private static let examplePayload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    private static let rsaModulus =
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"

    private var rules: TokenRules {
        var rules = TokenRules()
        rules.algorithms = SignatureAlgorithm.allCases
        rules.issuer = Array("joe".utf8)
        return rules
    }
    private func keys(_ jwk: String) throws -> [JSONWebKey] {
        try JSONWebKeySet.parse(Array("{\"keys\":[\(jwk)]}".utf8)).keys
    }

    /// RFC 7515 appendix A.2
    @Test func rs256() throws {
        let signature =
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        let token = "eyJhbGciOiJSUzI1NiJ9.\(Self.examplePayload).\(signature)"
        let keys = try keys(#"{"kty":"RSA","n":"\#(Self.rsaModulus)","e":"AQAB"}"#)
        #expect(refusal(token, keys: keys, rules: rules, at: 1_300_819_379) == nil)
        #expect(refusal(token, keys: keys, rules: rules, at: 1_300_819_380 + 30) == .expired)
        #expect(
            refusal(token.replacing("cC4h", with: "cC4i"), keys: keys, rules: rules, at: 1_300_819_379)
                == .signatureInvalid)
    }

    /// RFC 7515 appendix A.3
    @Test func es256() throws {
        let token =
            "eyJhbGciOiJFUzI1NiJ9.\(Self.examplePayload).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        let keys = try keys(
            #"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#
        )
        #expect(refusal(token, keys: keys, rules: rules, at: 1_300_819_379) == nil)
        #expect(
            refusal(token.replacing(".Dt", with: ".Du"), keys: keys, rules: rules, at: 1_300_819_379)
                == .signatureInvalid)
    }

    /// RFC 8037 appendix A.2 to A.5; the payload is a sentence, which a good signature does not make a set of claims (J11).
    @Test func ed25519() throws {
        let token =
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        let keys = try keys(#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#)
        #expect(keys[0].thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        #expect(refusal(token, keys: keys, rules: rules) == .malformed)
        #expect(refusal(token.replacing(".hgy", with: ".hgz"), keys: keys, rules: rules) == .signatureInvalid)
    }

    /// RFC 7638 section 3.1
    @Test func thumbprint() throws {
        let modulus =
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        let keys = try keys(#"{"kty":"RSA","n":"\#(modulus)","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#)
        #expect(keys[0].thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
        #expect(keys[0].id == "2011-04-29" && keys[0].algorithm == .rs256)
    }
}
