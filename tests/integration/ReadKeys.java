// Copyright: (c) 2026, the sep.sesam contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Reads many keys as a Java server does. Each line of standard input is KIND PUBLIC-KEY PRIVATE-KEY in base64 of
 * DER; the answer is one line: the kind if the two belong together, or the exception in words. Each line is read;
 * the same two lines prove only once that they belong together, since signing is slow.
 */
public class ReadKeys {
    private static final Map<String, String> SIGNATURES =
        Map.of("RSA", "SHA256withRSA", "EC", "SHA256withECDSA", "EdDSA", "EdDSA");

    private static final Set<String> PROVED = new HashSet<>();

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String answer;
            try {
                answer = read(line, line.split(" "));
            } catch (Exception exception) {
                answer = exception.toString().replaceAll("\\s+", " ");
            }
            System.out.println(answer);
        }
    }

    private static String read(String line, String[] words) throws Exception {
        Base64.Decoder base64 = Base64.getDecoder();
        KeyFactory factory = KeyFactory.getInstance(words[0]);
        PublicKey publicKey = factory.generatePublic(new X509EncodedKeySpec(base64.decode(words[1])));
        PrivateKey privateKey = factory.generatePrivate(new PKCS8EncodedKeySpec(base64.decode(words[2])));
        if (PROVED.contains(line)) {
            return words[0];
        }

        byte[] message = "the keys belong together".getBytes();
        Signature signature = Signature.getInstance(SIGNATURES.get(words[0]));
        signature.initSign(privateKey);
        signature.update(message);
        byte[] signed = signature.sign();
        signature.initVerify(publicKey);
        signature.update(message);
        if (!signature.verify(signed)) {
            return "the keys do not belong together";
        }
        PROVED.add(line);
        return words[0];
    }
}
