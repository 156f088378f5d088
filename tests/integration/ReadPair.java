// Copyright: (c) 2026, the sep.sesam contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

/** Reads a pair as a Java server does, and proves that the key belongs to the certificate: CERTIFICATE KEY. */
public class ReadPair {
    public static void main(String[] arguments) throws Exception {
        Certificate certificate;
        try (InputStream stream = Files.newInputStream(Path.of(arguments[0]))) {
            certificate = CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
        String body = Files.readString(Path.of(arguments[1]))
            .replace("-----BEGIN PRIVATE KEY-----", "").replace("-----END PRIVATE KEY-----", "");
        String kind = certificate.getPublicKey().getAlgorithm();
        PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(body));
        PrivateKey key = KeyFactory.getInstance(kind).generatePrivate(spec);

        byte[] message = "the key belongs to the certificate".getBytes();
        Signature signature = Signature.getInstance(kind.equals("EC") ? "SHA256withECDSA" : "SHA256withRSA");
        signature.initSign(key);
        signature.update(message);
        byte[] signed = signature.sign();
        signature.initVerify(certificate.getPublicKey());
        signature.update(message);
        if (!signature.verify(signed)) {
            throw new IllegalStateException("the key does not belong to the certificate");
        }
        System.out.println(kind);
    }
}
