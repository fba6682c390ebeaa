"""The letters of the sample: who wrote what to whom, what is around it, and what is expected of it.

Times are local (Europe/Copenhagen). `layers` stand from the outside in, as `form` does. `form`, `outcome`, `reason`,
`verdict` and `note` are written by hand from what the message is; where a verdict is not `valid`, the note begins with
the reason code it rests on. They hold for

    p7mill migrate sample-data/archive --keys sample-data/keys --trust sample-data/ca --store certs.db --out OUT

that is: chains judged when the message was received, no CRL, no passphrase.
"""

import struct
import zlib

from make import (Entity, Letter, altered, beside, certificates_only, cut_off, file_part, forwarded, list_footer, pgp_sealed, pgp_signed,
                  pkcs7, sealed, signed, spoil_content, spoil_key, text_part)

# ------------------------------------------------------------------------------------------------ attachments


def png(width, height, seed):
    """A soft gradient: a picture that compresses like one."""
    rows = b"".join(b"\0" + bytes(((x * seed) // 7 + y * 3 + c * 40) % 256 for x in range(width) for c in range(3)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pdf(*lines):
    """One page of text."""
    text = "BT /F1 12 Tf 72 740 Td 16 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
               "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
               f"<< /Length {len(text)} >>\nstream\n{text}\nendstream", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    out, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for n, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{n} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{o:010d} 00000 n \n" for o in offsets)
    return out + f"xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n".encode()


def PDF(name, *lines):
    return file_part(name, "application/pdf", pdf(*lines))


def PNG(name, width=64, height=48, seed=11):
    return file_part(name, "image/png", png(width, height, seed))


def TXT(text, name):
    return text_part(text, extra=[f'Content-Disposition: attachment; filename="{name}"'])


def secret_part(text, layer):
    """An encrypted object as an attachment."""
    return lambda at, workshop: layer(text_part(text), at, workshop)


LETTERS = []


def letter(box, when, sender, to, subject, text, parts=(), **rest):
    LETTERS.append(Letter(box, when, sender, to, subject, text, parts, **rest))


VALID = dict(outcome="kept", verdict="valid")
OPENED = dict(outcome="decrypted", verdict="valid")  # opened, and the signature inside is good
READ = dict(outcome="decrypted")  # opened, nothing signed inside

# ====================================================================================================== Board
# The conference "Board": what the board wrote to itself. Posts from inside have no Received header, so the From_ line
# gives the time. mboxcl2: nothing is quoted.

letter("board", "2004-03-08 10:02", "om", "board", "Welcome to the Board conference", """
Dear all,

from today the board talks here and no longer by fax. Please look in at least twice a week. Minutes will be posted here as well, Marta keeps the list of agenda items.

Our IT says that every one of you now has a certificate, so that what is confidential can be encrypted. Ask Jonas if the padlock does not show.""")
letter("board", "2004-03-29 16:40", "mb", "board", "Agenda 19 April", """
Proposed agenda:

 1. Minutes of 16 February
 2. Roof of the rope store: offers
 3. Exhibition 2005 "Tar and Timber": budget
 4. Any other business

Additions until Friday please.""")
letter("board", "2004-03-30 09:12", "hl", "board", "Re: Agenda 19 April", """
> 2. Roof of the rope store: offers

Only two of three have come in so far. I will bring the comparison to the meeting.""")
letter("board", "2004-06-14 11:25", "om", "board", "Resolution 2004/3", """
The board has resolved on 19 April and confirmed by circular until 11 June:

The rope store is re-roofed by Dahl & Sons at the price offered on 2 April. The director signs the contract.

This message is signed and goes into the file.""",
    layers=[signed("om", by="nss", digest="sha1", old=True)], form="clear-signed", **VALID,
    note="SHA-1 was in order in 2004; time from the From_ line")
letter("board", "2004-09-02 08:31", "jp", "board", "Harbour dues", """
The port authority wants dues for the museum quay from January. That would be the end of the free berth for visiting ships. Shall I answer, or does the chairman?""")
letter("board", "2004-09-02 12:05", "om", "board", "Re: Harbour dues", """
I know the harbour captain from school. Leave it to me.""")
letter("board", "2005-01-17 17:55", "om", "board", "Salary of the conservator", """
Confidential.

We can offer Mr Weiß step 11, not more, with a review after two years. If he asks for the removal costs, Henrik may go to 1,500.""",
    layers=[sealed("mb-2004 hl jp om", cipher="des3", old=True)], form="enveloped", **READ,
    note="four recipients, 3DES; opens with Brandt's old key among others")
letter("board", "2005-02-07 09:00", "mb", "board", "Minutes 31 January", """
The minutes are attached. Corrections to me until the 21st.""", [PDF("minutes-2005-01-31.pdf", "Minutes of the board, 31 January 2005", "Present: Madsen, Brandt, Lindqvist, Petersen", "1. The minutes of 6 December are approved.", "2. Tar and Timber opens on 29 April.")])
letter("board", "2005-06-20 14:10", "hl", "board", "Accounts 2004 closed", """
The accounts for 2004 are closed with a surplus of 3,212.40. The auditors had two remarks, both about the petty cash of the shop.""",
    layers=[signed("hl", opaque=True, stream=True)], form="opaque-signed", **VALID, note="signed content inside the object; OpenSSL -stream, BER with indefinite lengths")
letter("board", "2005-11-21 10:45", "mb", "board", "Insurance of the figurehead", """
The insurer wants a photograph of every side. Here is the front, the others follow when the light is better.""", [PNG("figurehead-front.png", 120, 160, 9)])
letter("board", "2006-02-13 15:20", "hl", "board", "Loan from the savings bank", """
Draft terms, please treat as confidential: 180,000 over fifteen years, 4.1 per cent fixed for ten. The bank needs the signatures of the chairman and of the director by the end of March.""",
    layers=[sealed("mb-2004 om jp hl", by="gpgsm"), signed("hl", by="gpgsm")], form="enveloped>clear-signed", **OPENED,
    note="gpgsm, BER with indefinite lengths")
letter("board", "2006-05-02 08:50", "jp", "board", "Sail festival", """
39 ships have registered so far, 6 more than two years ago. Brandt & Co. will sponsor the tents again (no relation, Marta says).""")
letter("board", "2007-03-12 18:32", "om", "hl", "Irregularities in the shop", """
Henrik, please count the float yourself on Monday before opening and tell nobody.""",
    layers=[sealed("hl", cipher="aes128")], form="enveloped", outcome="locked",
    note="only to Lindqvist, whose key file needs a passphrase; h.lindqvist.pem beside it says whose it is")
letter("board", "2007-04-02 09:30", "hl", "board", "Shop", """
The matter in the shop has been cleared up: a drawer that does not close. I propose to buy a new till.""")
letter("board", "2007-09-18 13:14", "mb", "hl", "Your contract", """
Dear Henrik,

attached is what we spoke of. If you agree, sign both copies and leave them on my desk.""", [PDF("contract-draft.pdf", "Draft", "Contract of employment, second addendum")],
    layers=[sealed("hl", cipher="aes128"), signed("mb-2004")], form="enveloped", outcome="locked",
    note="what is inside (a signed letter) cannot be known without Lindqvist's key")
letter("board", "2008-01-28 11:00", "mb", "board", "Visitors 2007", """
| month    | 2006 | 2007 |
|----------|------|------|
| May      | 3911 | 4105 |
| June     | 5230 | 5022 |
| July     | 8712 | 9377 |
| August   | 8450 | 8801 |

Total for the year 41,207, the best so far.""")
letter("board", "2008-05-19 16:48", "mb", "board", "Extension building: vote", """
I vote in favour of variant B (the low hall along the quay). This message is meant to be filed as my written vote.""",
    layers=[signed("mb-2004", by="gpgsm", opaque=True)], form="opaque-signed", **VALID, note="gpgsm, BER with indefinite lengths")
letter("board", "2008-05-20 08:05", "jp", "board", "Re: Extension building: vote", """
> I vote in favour of variant B

Me too, but who pays for the piles?""")
letter("board", "2008-10-06 19:20", "om", "board", "Bank crisis", """
In view of the news: our reserve is with the savings bank and is guaranteed. No reason to move anything. Henrik has written to them all the same.""")
letter("board", "2009-03-16 10:10", "om", "board", "Valuation of the Lübeck altar wing", """
The second expert comes to 240,000, with reservations about the lower left panel. Not for the minutes.""",
    layers=[sealed("mb-2004 hl jp om", by="nss", old=True)], form="enveloped", **READ, note="NSS, AES-128, BER with indefinite lengths")
letter("board", "2009-06-08 09:40", "hl", "board", "Donations", """
The circle of friends has given 12,000 for the restoration of the pilot cutter. A letter of thanks should go out from the chairman.""", [TXT("Dear friends,\n\nwith joy and gratitude we have received your gift ...\n", "letter-of-thanks.txt")])
letter("board", "2010-04-12 14:37", "hl", "board", "Quarterly figures", """
Income is two per cent above plan.

From the shop we had 8,120, of which books 2,400.
From the café, as agreed, nothing yet before the lease is signed.

Expenses are as planned.""",
    layers=[signed("hl")], form="clear-signed", **VALID,
    note="two lines of the signed text begin with `From ` and are not separators: the Content-Length is right")
letter("board", "2010-10-04 11:11", "mb", "am", "Provenance of the Amber Casket", """
Dear Aurélien,

thank you for the copies from the Paris archive. Between us: the gap between 1938 and 1946 worries me more than I said in the meeting. Could your researcher look at the sale catalogue of the Hotel Drouot of March 1941?""",
    layers=[sealed("am")], form="enveloped", outcome="no-key", note="only to Moreau, whose key nobody here has")
letter("board", "2010-10-25 08:22", "mb", "board", "Amber Casket", """
Mr Moreau will come on 15 November and report. I ask for patience until then.""")
letter("board", "2011-05-09 17:03", "om", "board", "Director's contract", """
The board extends Marta Brandt's contract until 2021 at step 15. Resolved in her absence, 4 votes of 4.""",
    layers=[signed("om", by="nss"), sealed("mb-2004 hl jp om", by="openssl", cipher="des3"), signed("om", by="nss")],
    form="clear-signed>enveloped>clear-signed", **OPENED, note="triple-wrapped; the inner signature counts")
letter("board", "2011-08-22 13:30", "jp", "board", "Pilot cutter", """
The cutter is back from the yard. Picture from the slip attached. She leaks less than I do.""", [PNG("cutter-on-slip.png", 160, 100, 17)])
letter("board", "2011-12-05 10:00", "om", "board", "Farewell to Jonas", """
Jonas retires on 31 January 2012. Herring and speeches on the 27th at five in the rope store. Spouses welcome.""", cc="staff")
letter("board", "2012-02-20 15:15", "mb", "hl om", "Storage costs", """
The outside store costs 1,840 a month, more than the rent of the whole exhibition hall. See the breakdown. I would like to give notice before the summer.""", [file_part("storage.csv", "text/csv", b"month;cost\r\n2011-10;1840,00\r\n2011-11;1840,00\r\n2011-12;1895,50\r\n")],
    layers=[sealed("hl om", by="gpgsm", cipher="aes128")], form="enveloped", **READ, note="Lindqvist's key is locked, Madsen's opens it")
letter("board", "2012-06-04 09:09", "mb", "board", "New curator", """
Clara Reuter starts on 1 July as curator of the collection. She will not use FirstClass but has asked for IMAP; our IT has no objection.""")
letter("board", "2012-11-12 16:16", "om", "board", "Price of the sloop", """
We have agreed with the owner on 42.000 and not a krone more. Payment in two parts.""",
    layers=[sealed("mb-2004 hl om"), altered("42.000", "24.000"), signed("om")], form="enveloped>clear-signed", outcome="decrypted", verdict="invalid",
    note="digest-mismatch: the text was changed between signing and encrypting")
letter("board", "2012-11-13 08:01", "hl", "board", "Re: Price of the sloop", """
Is the figure right? My note of the meeting says something else.""")
letter("board", "2013-02-25 10:30", "mb", "board", "New certificates", """
Dear all,

the old certificates run out this spring. Mine has been exchanged, with a new key: please delete the old one from your address books. What was written to the old one stays readable to me, I have kept both files.""")
letter("board", "2013-06-10 18:45", "om", "hl", "Personal", """
Henrik, how is your back? The board will manage without the figures for one month. Take the time the doctor says.""",
    layers=[sealed("hl", by="gpgsm"), signed("om", by="gpgsm", opaque=True)], form="enveloped", outcome="locked", note="only to Lindqvist")
letter("board", "2014-05-12 11:40", "mb", "board", "Resolution 2014/2", """
By circular, closed on 9 May: the museum joins the Amber Road network (5 in favour, none against).""",
    layers=[signed("mb-2013", chain="signer")], form="clear-signed", **VALID,
    note="the intermediate is not in this message; other messages of the archive carry it")
letter("board", "2014-05-26 09:55", "hl", "board", "Audit", """
The auditors come on 11 and 12 June. They want to see, of all things, e-mails: "smime.p7m files included". I told them that application/pkcs7-mime is not a secret society.""")
letter("board", "2014-10-20 14:02", "om", "mb", "Successor", """
Marta, I shall not stand again. Ask Ingrid's father whether he would.""",
    layers=[sealed("mb-2013", spoil=spoil_key)], form="enveloped", outcome="undecryptable",
    note="addressed to Brandt's new key, but the encrypted content key was damaged on disk")
letter("board", "2014-12-15 17:30", "om", "board", "Farewell", """
Dear friends,

eleven years in the chair are enough. The harbour looks better than in 2003 and so does the museum, which is not my doing but yours. Thank you.""", cc="staff", charset="utf-8")
letter("board", "2015-01-05 10:20", "hl", "board", "Handover", """
My successor will find the accounts for 2014 complete up to 30 December. The last receipts are in the blue folder.""",
    layers=[signed("hl", opaque=False, chain="full")], form="clear-signed", **VALID, note="five days before the certificate runs out: still good")
letter("board", "2015-06-09 12:00", "mb", "board", "This conference", """
The new chairman prefers the telephone. The conference stays as an archive and is closed for new posts today.""")

# ====================================================================================================== Inbox
# Marta Brandt's mailbox. mboxrd: lines that look like a separator are quoted with `>`. The top Received header gives the
# time.

letter("inbox", "2004-03-02 09:14", "jp", "mb", "FirstClass account", """
Your account is ready. Password is on the yellow note under your keyboard, please eat it afterwards.

For the padlock you need the file from the floppy. Import it in the preferences, no password, just press return.""")
letter("inbox", "2004-03-11 13:40", "ek", "mb", "Crates for the ship models", """
Dear Ms Brandt,

we can deliver the eleven crates in week 14. Inside dimensions as you wrote. The foam is acid-free, the certificate of the maker is attached.""", [PDF("foam-certificate.pdf", "Certificate of conformity", "PE foam, acid-free, lot 0311")], charset="iso-8859-2")
letter("inbox", "2004-05-24 10:33", "om", "mb", "Signature test", """
Marta, does the padlock show on your side? It does here.""",
    layers=[signed("om", digest="sha1", old=True)], form="clear-signed", **VALID, note="SHA-1 was in order in 2004")
letter("inbox", "2004-05-24 11:10", "hl", "mb", "Petty cash", """
There are 14.20 missing in the shop, and a Danish two-krone piece too many.""")
letter("inbox", "2004-08-16 08:20", "hl", "mb", "Brückengeländer", """
Guten Morgen Marta,

das Geländer der Brücke zum Speicher ist lose, auf der Wasserseite. Bis es fest ist, müsste dort jemand absperren. Die Rechnung über den Anstrich (1.140,00 €) habe ich zurückgehen lassen: gestrichen wurde nur außen.""", charset="iso-8859-15")
letter("inbox", "2004-11-15 15:48", "jp", "mb", "Quay inspection", """
Inspected today: bollards 1 to 6 in order, 7 loose, ladder at the slip rusted through. I have put a rope around it.""",
    layers=[signed("jp", by="nss", digest="sha1", old=True)], form="clear-signed", **VALID, note="NSS")
letter("inbox", "2005-02-21 09:26", "jp", "mb", "Winter berths", """
Three boats have asked for the winter berth 2005/06. I promised it to the Annemarie, who is the oldest lady of them.""",
    layers=[signed("jp", by="gpgsm", opaque=True)], form="opaque-signed", **VALID, note="gpgsm, BER")
letter("inbox", "2005-04-27 18:02", "ek", "mb", "Transport Saturday", """
The lorry is called KT-48, the drivers are Marko and Ivo. They will be at your gate at 6:30.""")
letter("inbox", "2005-05-02 07:45", "jp", "mb", "Opening", """
212 guests, one broken glass, one seagull inside. Pictures attached.""", [PNG("opening-1.png", 140, 90, 5), PNG("opening-2.png", 140, 90, 23)])
letter("inbox", "2005-09-12 16:30", "hl", "mb", "Salaries September", """
Please release the list in the bank program before the 20th. Ms Dahl's hours have been corrected.""",
    layers=[sealed("mb-2004", cipher="des3", old=True)], form="enveloped", **READ, note="3DES, to Brandt's old certificate")
letter("inbox", "2005-12-19 12:12", "om", "mb", "Season's greetings", """
A peaceful Christmas to you and yours. The board has put a bottle into your pigeonhole. Do not open it at work.""")
letter("inbox", "2006-03-06 10:58", "om", "mb", "Confidential: Tomás Weiß", """
He has accepted. Start on 1 May. Please keep it to yourself until the contract is signed, the museum in Ribe does not know yet.""",
    layers=[sealed("mb-2004", by="nss", old=True), signed("om", by="nss", digest="sha1", old=True)], form="enveloped>clear-signed", **OPENED, note="NSS on both layers, AES-128, BER with indefinite lengths")
letter("inbox", "2006-06-19 14:14", "jp", "mb", "Depth at the slip", """
Sounded this morning: 2.10 m at the outer end, 1.35 m at the ladder. The cutter needs 1.60 m.""",
    layers=[signed("jp", digest="sha1", old=True)], form="clear-signed", **VALID, note="SHA-1, x-pkcs7 names, as Outlook Express wrote them")
letter("inbox", "2006-09-04 09:00", "tw", "mb", "Climate in room 3", """
Dear Marta,

relative humidity in room 3 was above 65 % for nine days in August. The altar wing cannot stay there. I propose the small cabinet until the machine is repaired.

The curve is attached.""", [PNG("room3-august.png", 200, 80, 31), file_part("room3.csv", "text/csv", b"".join(b"2006-08-%02d,%d\r\n" % (d, 58 + d * 7 % 13) for d in range(1, 32)))])
letter("inbox", "2006-09-05 08:30", "hl", "mb", "Re: Climate in room 3", """
The repair is 2,300, without the tax. There is no item for it, but I can take it from maintenance if the railing waits.""")
letter("inbox", "2007-02-26 11:05", "office", "mb", "Telephone list 2007", """
The new list is attached, valid from 1 March. Please destroy the old ones.""", [TXT("101  Brandt\n102  Lindqvist\n107  Petersen (quay)\n110  Weiss (workshop)\n", "telephone.txt")])
letter("inbox", "2007-04-16 17:20", "ek", "mb", "Offer for the Riga loan", """
Dear Ms Brandt,

our offer for the return journey of the twelve objects from Riga:

From Riga to Nordhafen, air-sprung, two drivers: 4.200
From the gate to the hall, with your people: no charge

The offer is valid until the end of May. It is signed, so you may treat it as binding.""",
    layers=[signed("ek")], form="clear-signed", **VALID, note="`From ` lines in the signed text, stored as `>From ` by this mailbox's dialect: the message is what the quoting hides")
letter("inbox", "2007-04-17 09:31", "hl", "mb", "Re: Offer for the Riga loan", """
I would accept. But ask them about this:

> From the gate to the hall, with your people: no charge

From my point of view that means that our people are not insured while they carry.

>From the gate on it should be theirs.""", note="lines quoted as >From and >>From in the file")
letter("inbox", "2007-10-29 10:10", "om", "mb", "Burglary in Husum", """
You will have read it: they came through the roof light. Ours is older. Please ask for an offer for bars, quietly.""")
letter("inbox", "2008-01-14 16:05", "jp", "mb hl", "Keys to the quay shed", """
The code of the key box is 4-7-1-1 until I have changed it. Then it is the year the cutter was built.""",
    layers=[sealed("mb-2004 hl", by="gpgsm", cipher="des3")], form="enveloped", **READ, note="two recipients, one of them with a locked key file; 3DES by gpgsm")
letter("inbox", "2008-03-03 13:00", "re", "mb", "Article in the Baltic Review", """
Dear Ms Brandt,

the proofs of your article on rope walks are attached. I would need your corrections by the 14th. Figure 3 is too dark, do you have a better scan?""", [PDF("proofs.pdf", "The rope walks of Nordhafen", "by Marta Brandt", "Baltic Review 2/2008, p. 41")], headers=["Organization: Baltic Review"])
letter("inbox", "2008-06-30 08:15", "tw", "mb", "Holiday", """
I am away from 14 July to 1 August. The workshop stays closed, the key is with Jonas.""")
letter("inbox", "2008-10-13 09:44", "hl", "mb", "Reserve", """
Marta, for your eyes: I have moved half of the reserve to the state bank this morning. It costs us 0.4 per cent and lets me sleep.""",
    layers=[sealed("mb-2004", cipher="aes128"), signed("hl", opaque=True)], form="enveloped>opaque-signed", **OPENED, note="the signed object lies inside the encrypted one")
letter("inbox", "2009-01-12 10:20", "office", "mb", "Lost property 2008", """
Left behind last year and not fetched: 31 umbrellas, 1 violin bow, 1 set of teeth (upper).""")
letter("inbox", "2009-05-18 15:33", "om", "mb", "Succession", """
Should anything happen to me, the vice-chairman finds the papers about the foundation in the safe of the savings bank, box 114. You have the second key.""",
    layers=[signed("om"), sealed("mb-2004", cipher="aes128"), signed("om")], form="clear-signed>enveloped>clear-signed", **OPENED, note="triple-wrapped; the inner signature counts")
letter("inbox", "2009-08-24 12:25", "tw", "mb", "Woodworm", """
Good news: what I found under the figurehead is not woodworm but sawdust from the new shelf above it.""", html="<p>Good news: what I found under the figurehead is <b>not</b> woodworm but sawdust from the new shelf above it.</p>")
letter("inbox", "2010-02-08 18:50", "ek", "mb", "Costs of the Riga damage", """
Confidential, without prejudice: our insurer would pay 3.000 if the museum does not go to court. Please answer only encrypted.""",
    layers=[sealed("mb-2004", cipher="aes128", label='application/octet-stream; name="smime.p7m"')], form="enveloped", **READ, note="labelled application/octet-stream, known by its name")
letter("inbox", "2010-06-21 08:08", "jp", "mb", "Midsummer fire", """
The fire brigade allows it if we keep 50 m from the rope store. I have measured: it is 48. I moved the fire.""")
letter("inbox", "2010-11-08 14:51", "jp", "mb", "Bill of the diver", """
The diver sent his bill for the piles: 860 for two days. The work was good, please pay.""",
    layers=[altered("860", "2860"), signed("jp")], form="clear-signed", outcome="kept", verdict="invalid", note="digest-mismatch: the sum was changed after signing")
letter("inbox", "2010-11-09 09:15", "jp", "mb", "Re: Bill of the diver", """
I wrote 860. I know what I wrote, and I know what a diver costs.""")
letter("inbox", "2011-03-14 11:30", "tw", "mb", "Workshop lamp", """
The cold light for the workshop has arrived. It is so bright that I have found two repairs of my predecessor that I would rather not have seen.""")
letter("inbox", "2011-07-04 16:16", "om", "mb", "Letter of the foundation", """
Marta, the text of the foundation as I would send it. Three pages, please read it in the evening and not between two meetings.

We, the undersigned, declare that the collection of the late consul shall remain in Nordhafen undivided, that it shall be shown to the public, and that none of it shall be sold except to buy what is better. The foundation bears the cost of its keeping up to the yield of its capital. Should the museum be dissolved, the collection falls to the town, under the same conditions.""",
    layers=[cut_off, sealed("mb-2004")], form="enveloped", outcome="malformed", note="the object ends in the middle of its ciphertext: the disk was full that day")
letter("inbox", "2011-07-05 08:40", "jp", "mb om", "Mail server", """
The disk of the mail server was full yesterday between four and six. Who misses a mail, or half of one, should ask for it again. The disk is bigger now.""")
letter("inbox", "2011-11-28 10:00", "jp", "mb", "Handover of the quay", """
Marta, list of what the next one must know is attached. The most important: be kind to the Annemarie's owner, he is lonely.""", [TXT("1. Bollard 7 is still loose.\n2. The crane key hangs behind the tide table.\n3. Never lend the handcart.\n", "handover.txt")])
letter("inbox", "2012-03-19 09:50", "tw", "mb", "Certificate", """
I have one of the new certificates now, from the second Staff CA. The old machine in the workshop does not know that one yet and complains, ignore it.""")
letter("inbox", "2012-09-17 20:11", "jp", "mb", "Greetings from the allotment", """
Dear Marta,

retirement agrees with me. Does the old signature still work? I see no reason why it should not.""",
    layers=[signed("jp")], form="clear-signed", outcome="kept", verdict="indeterminate", note="cert-expired: Petersen's certificate ran out on 2012-02-01, the message came on 2012-09-17")
letter("inbox", "2012-12-03 13:37", "cr", "mb", "First impressions of the store", """
Dear Marta,

after five months: the store is in better order than the catalogue. About 1,900 objects have a number that is not in the books, and 140 in the books are not on the shelf. I attach a sketch of how I would go on: first the amber, then the ship models, then everything that is called "Diverse".""", [PDF("plan-store.pdf", "Stocktaking 2013-2016", "1. Amber", "2. Ship models", "3. Diverse")])
letter("inbox", "2013-02-18 11:59", "ek", "mb", "New rates", """
Our rates from April. For you the old ones stay, but please do not show this to the colleagues in Riga.""",
    layers=[sealed("mb-2004")], form="enveloped", **READ, note="to Brandt's old certificate, a week before she told the board of the new one")
letter("inbox", "2013-02-27 08:47", "om", "mb", "Your new certificate", """
I have both of yours in the address book now and my program encrypts to both. Better twice than not at all.""",
    layers=[sealed("mb-2004 mb-2013")], form="enveloped", **READ, note="old and new certificate, two RecipientInfos for one person")
letter("inbox", "2013-03-18 10:13", "is", "mb", "Registrar's keys", """
The new cabinet key is number 31. Only you and I have one, Clara takes hers from the safe and signs for it.""",
    layers=[sealed("mb-2013")], form="enveloped", **READ, note="to Brandt's new certificate only")
letter("inbox", "2013-06-24 15:05", "is", "mb", "Draft of the loan agreement", """
Please look at paragraph 7. I have written that the borrower pays for the courier in any case, not only if we ask for one.""", [PDF("loan-agreement-draft.pdf", "Loan agreement", "Par. 7 Courier")],
    layers=[sealed("mb-2013", stream=True), signed("is")], form="enveloped>clear-signed", **OPENED, note="OpenSSL -stream: BER with indefinite lengths")
letter("inbox", "2013-10-07 09:09", "av", "mb", "Mail server moved", """
The mail server now stands in the dry room. No mail was lost; 214 were late. If your FirstClass asks for a password twice, it only wants to be loved.""")
letter("inbox", "2014-04-07 14:20", "av", "mb", "Backup report Q1", """
All 13 weekly backups were read back and compared. One tape was replaced.""",
    layers=[signed("av")], form="clear-signed", **VALID, note="ECDSA with P-256")
letter("inbox", "2014-09-15 11:47", "cr", "mb", "Amber Casket: a find", """
Marta, in the papers of the consul there is a receipt of 1939, with a name. I do not want to write it in clear. Come by.""", [PNG("receipt-1939.png", 180, 120, 13)],
    layers=[sealed("mb-2013", oaep=True)], form="enveloped", **READ, note="RSA-OAEP with SHA-256")
letter("inbox", "2015-01-19 10:02", "cr", "mb", "Opinion on the casket", """
My opinion in short: the casket was sold under duress in 1939. I recommend that we look for the family. I stand by this with my signature.""",
    layers=[signed("cr", opaque=True, pss=True)], form="opaque-signed", **VALID, note="RSA-PSS")
letter("inbox", "2015-03-30 16:44", "fk", "mb", "Interest in the Amber Casket", """
Dear Ms Brandt,

a client of mine would offer a sum for the casket that ends all worries about your roof. Discretion is a matter of course. May I call?""")
letter("inbox", "2015-10-05 12:40", "is", "mb", "Heirs found", """
The genealogist has found two granddaughters, one in Haifa and one in Malmö. Addresses in the attachment.""", [TXT("R. Lewin, Haifa\nE. Lewin Bergström, Malmö\n", "addresses.txt")],
    layers=[sealed("mb-2013", ski=True)], form="enveloped", **READ, note="the recipient is named by subject key identifier")
letter("inbox", "2016-02-15 09:35", "office", "mb staff", "Office hours at Easter", """
The office is closed from 24 to 29 March. Deliveries go to the quay.""",
    layers=[signed("is")], form="clear-signed", outcome="kept", verdict="indeterminate", note="address-mismatch: From is the office, the certificate is Solberg's, and no Sender says so")
letter("inbox", "2016-06-13 13:13", "pd", "mb", "My last report", """
Here is the report on the courier journey to Gdańsk, a little late, as I have moved. Thank you for the good years.""",
    layers=[signed("pd")], form="clear-signed", **VALID, note="the certificate was revoked on 2016-05-02; the command names no CRL, so revocation is unknown and does not decide. With --crl sample-data/crl it is invalid")
letter("inbox", "2017-03-06 08:18", "lq", "mb", "Interview", """
Dear Ms Brandt,

for Saturday's paper: three questions about the return of the casket. Ten minutes by telephone would do.""",
    layers=[signed("lq")], form="clear-signed", outcome="kept", verdict="indeterminate", note="chain-untrusted: a self-signed certificate")
letter("inbox", "2017-08-21 17:17", "am", "mb", "Congratulations", """
Chère Marta,

j'ai lu le reportage. C'était la seule chose à faire, et vous l'avez bien faite. À bientôt à Nordhafen.""",
    layers=[signed("am", by="openssl", chain="full")], form="clear-signed", outcome="kept", verdict="indeterminate", note="chain-untrusted: complete up to ArtTrust's root, which is attached but not in --trust")
letter("inbox", "2018-05-22 15:55", "av", "mb", "Data protection: list of systems", """
As asked, the list of systems that hold personal data. The card index in the shop is the worst of them.""", [file_part("systems.csv", "text/csv", b"system,data,retention\r\nFirstClass,mail,?\r\nshop cards,addresses,1987-\r\n")],
    layers=[sealed("mb-2013", cipher="aes-256-gcm"), signed("av")], form="auth-enveloped>clear-signed", **OPENED, note="AES-256-GCM; ECDSA inside")
letter("inbox", "2018-11-12 10:30", "av", "mb", "Certificates of the Staff CA", """
(certificates only)""",
    layers=[certificates_only("av", "staff-2")], form="certs-only", outcome="kept", note="Virtanen's certificate and the intermediate; nothing is signed")
letter("inbox", "2019-04-08 09:20", "tw", "mb", "Fwd: Treatment of the altar wing", """
Marta, for the file, the mail of 2006 as it was. The humidity then explains the blisters now.""",
    [forwarded(Letter("inbox", "2006-09-04 09:00", "tw", "mb", "Climate in room 3", "Relative humidity in room 3 was above 65 % for nine days in August.", received=True))],
    note="an attached message without S/MIME")
letter("inbox", "2020-03-16 18:25", "is", "mb", "Fwd: Closure of the Gdańsk exhibition", """
Dear Marta,

as an attachment Piet's successor in Gdańsk... no: Tomás's signed report from there. All objects stay in the crates until further notice.""",
    [forwarded(Letter("inbox", "2020-03-14 11:40", "tw", "is", "Closure of the Gdańsk exhibition", """
Report: exhibition closed by decree on 12 March. 23 objects in crates, seals 4401 to 4423, climate in the store 19.5 °C and 52 %.""", layers=[signed("tw")], received=True))],
    form="partial:clear-signed", outcome="kept", note="the forwarded message is judged by itself; it lends its carrier no verdict",
    attached=("2", "clear-signed", "kept", "valid", "Weiß's report, attached whole, with its own Received header"))
letter("inbox", "2020-04-27 10:00", "mb", "staff", "Working from home", """
Everybody who can, works from home until 18 May. The quay is looked after by turns. Wash your hands; the consul had soap of his own making, there are 40 bars in the store and Clara says no.""")
letter("inbox", "2021-06-14 14:45", "cr", "mb", "Appraisal interview", """
What I would like to speak about: a second day in the archive, and an assistant for the ship models.""",
    layers=[sealed("mb-2013", label='application/pkcs7-mime; name="smime.p7m"')], form="enveloped", **READ, note="no smime-type")
letter("inbox", "2022-05-09 12:12", "re", "mb", "Review copy", """
Dear Marta,

your book is reviewed in the next number, kindly. This mail is signed with PGP, as our editors now must.""",
    layers=[pgp_signed], form="pgp-signed", note="OpenPGP is left alone")
letter("inbox", "2022-10-17 08:30", "av", "mb staff", "Heating", """
From Monday the offices are kept at 19 degrees. The store is not affected, objects before people.""")
letter("inbox", "2023-02-20 16:02", "re", "mb", "A question about the review", """
A reader has written to us, and not kindly. Before we print it you should see it.""",
    layers=[pgp_sealed], form="pgp-encrypted", note="OpenPGP is left alone")
letter("inbox", "2023-09-11 11:11", "exhibitions", "mb", "Catalogue text", """
The text for the catalogue "Amber Road, twenty years on" is final. Please pass it for press.""", sent_by="cr",
    layers=[signed("cr")], form="clear-signed", outcome="kept", verdict="indeterminate", note="sender-only: the certificate is that of Sender, not of From")
letter("inbox", "2024-02-05 09:45", "av", "mb", "End of FirstClass", """
The licence ends on 30 June and will not be renewed. I propose: everything to IMAP, what is encrypted to be made readable for the archive, with a report for the auditors of what could be opened and what could not. For that I need everybody's old key file. Henrik's is there, but nobody knows the passphrase.""",
    layers=[signed("av", digest="sha512")], form="clear-signed", **VALID, note="ECDSA with SHA-512")
letter("inbox", "2024-05-27 17:30", "mb", "av", "Re: End of FirstClass", """
Agreed. I have found two files of mine on a memory stick in the desk, "2004" and "2013". Jonas sent his from the allotment, on a floppy.""")

# ==================================================================================================== curator
# Clara Reuter's Maildir.

letter("curator", "2012-07-02 08:30", "mb", "cr", "Welcome", """
Dear Clara,

welcome to Nordhafen. Your office is the one with the stove. Your certificate is on the stick; the IT people will show you where it goes.""",
    layers=[signed("mb-2004")], form="clear-signed", **VALID)
letter("curator", "2012-07-03 14:10", "tw", "cr", "Tour of the store", """
Tomorrow at ten? Bring a jacket, it is 14 degrees, and a torch for the upper floor.""")
letter("curator", "2012-08-20 11:26", "office", "cr", "Business cards", """
Is this right? "Dr. Clara Reuter, Curator of the Collection". The proof is attached.""", [PNG("card.png", 150, 80, 3)])
letter("curator", "2012-10-15 16:00", "tw", "cr", "Altar wing: findings", """
Under the blue of the mantle there is an older red. Before we tell anyone I would like a second opinion. The report is only for you.""", [PDF("findings.pdf", "Altar wing, lower left panel", "Cross section 4: red lake under azurite")],
    layers=[sealed("cr", by="nss")], form="enveloped", **READ, note="NSS, AES-128, BER with indefinite lengths")
letter("curator", "2013-01-21 09:05", "is", "cr", "Numbers", """
I have begun to match the numbers. Boxes 1 to 40 are done: 212 objects, 9 without a number, 3 numbers twice.""", flags="RS")
letter("curator", "2013-05-13 10:50", "is", "cr tw", "Condition of the loan from Visby", """
The loan came with two cracks that are not in their report. Photographs attached. Please do not write to Visby before we have spoken with the insurer.""", [PNG("crack-1.png", 130, 130, 7), PNG("crack-2.png", 130, 130, 19)],
    layers=[sealed("cr tw", by="nss"), signed("is", by="nss")], form="enveloped>clear-signed", **OPENED, note="NSS on both layers, AES-128, BER with indefinite lengths")
letter("curator", "2013-09-09 12:34", "av", "cr", "IMAP", """
You are the only one on IMAP, so you are my test. Compression is switched on in your mailbox since this morning; you should not notice.""")
letter("curator", "2013-09-09 12:36", "av", "cr", "Test of compression", """
This one is stored compressed.""", compressed=True)
letter("curator", "2014-02-17 15:15", "list", "cr", "Subscription", """
Welcome to the list Baltic Conservators. Be brief, be kind, and say which pigment you mean.""", sender_of_list="list")
letter("curator", "2014-06-16 10:18", "av", "cr", "Test with my new key", """
My new key is an elliptic one, not all programs can read it. I encrypt this to you and to myself. Can you open it?""",
    layers=[sealed("cr av")], form="enveloped", **READ, note="one RSA recipient, one ECDH recipient on P-256")
letter("curator", "2014-06-16 11:02", "av", "cr", "Re: Test with my new key", """
Good. Then it is only FirstClass that cannot.""")
letter("curator", "2014-11-10 13:50", "mb", "cr is", "Amber Casket, next steps", """
1. Nobody speaks to the press.
2. Ingrid orders the genealogist.
3. Clara writes down what she knows, on paper.""", layers=[signed("mb-2013", by="gpgsm")], form="clear-signed", **VALID, note="gpgsm", flags="FS")
letter("curator", "2015-03-23 09:41", "tw", "list", "[conservators] Azurite over red lake", """
Dear colleagues,

has anyone seen azurite directly on a red lake in a panel from before 1480? Cross section on request.""",
    sender_of_list="list", layers=[list_footer("_______________________________________________\nconservators mailing list\nconservators@lists.baltic-museums.example\n"), signed("tw")],
    form="partial:clear-signed", outcome="kept", verdict="indeterminate", note="partial-coverage: the list put its footer beside the signed part")
letter("curator", "2015-03-24 16:20", "re", "list", "Re: [conservators] Azurite over red lake", """
Yes, in Reval, and nobody believed me either.""", sender_of_list="list")
letter("curator", "2015-07-27 08:55", "is", "cr", "Holiday cover", """
I am away until 14 August. The loan files are in the tall cabinet, the urgent ones have a red tab.""")
letter("curator", "2015-11-16 19:02", "fk", "cr", "A file I cannot open", """
Dear Dr. Reuter,

your director seems to have sent me the attached by mistake, I cannot read it. Would you be so kind and open it for me? A copy by return would be enough.""",
    [secret_part("The heirs have been told. We give it back in spring.\n", sealed("mb-2013"))],
    form="partial:enveloped", outcome="refused", reason="key-not-addressed", note="a ciphertext for Brandt pasted into a letter to Reuter: not opened, though Brandt's key is at hand")
letter("curator", "2015-11-17 08:12", "mb", "cr", "Dr. Keller", """
Whatever he sends you: do not open it and do not answer. I never wrote to him.""", flags="FRS")
letter("curator", "2016-03-07 14:30", "is", "cr", "Scan from the genealogist", """
The scan is the attached file, encrypted to you because of the names in it.""",
    [secret_part("Family sheet 2: R. L., born 1911 in Memel; E. L., born 1914.\n", sealed("cr"))],
    form="partial:enveloped", **READ, note="an encrypted attachment, addressed to a recipient of the letter: opened")
letter("curator", "2016-04-11 11:45", "pd", "cr", "Courier dates", """
Gdańsk: 18 April out, 20 April back. I travel with the lorry and sleep at the museum.""",
    layers=[signed("pd")], form="clear-signed", **VALID, note="three weeks before the certificate was revoked")
letter("curator", "2017-01-30 10:10", "tw", "cr", "New balance", """
The balance for the workshop is calibrated, 0.1 mg. Certificate in the drawer.""",
    layers=[signed("tw", chain="none")], form="clear-signed", **VALID, note="no certificate in the message: Weiß's lies in --keys")
letter("curator", "2017-05-15 15:42", "office", "cr", "Re: Guided tour for the blind", """
Eleven have registered. May they touch the anchor, the ropes and the model of the cog? I told them yes.""", html="<p>Eleven have registered. May they touch the anchor, the ropes and the model of the cog? I told them <i>yes</i>.</p>")
letter("curator", "2017-10-09 09:27", "is", "cr", "Stocktaking finished", """
As of today every object has a number and every number an object, but for the 17 on the attached list. The list is final.""", [file_part("missing.csv", "text/csv", b"number,last seen\r\n1904-17,1951\r\n1922-03,1967\r\n1931-40,1944\r\n")],
    layers=[signed("is", chain="signer")], form="clear-signed", **VALID, note="the intermediate is not in this message; other messages of the archive carry it", flags="FSa")
letter("curator", "2018-03-12 17:08", "am", "cr", "Ventes publiques 1941", """
Voici les pages du catalogue que vous cherchiez : lots 88 à 91. Gardez-les pour vous, l'archive ne les a pas encore publiées.""", [PNG("lot-88.png", 120, 150, 29)],
    layers=[sealed("cr"), signed("am", opaque=True)], form="enveloped>opaque-signed", outcome="decrypted", verdict="indeterminate", note="chain-untrusted: opened, but the signer's root is not in --trust")
letter("curator", "2018-03-13 08:02", "mb", "cr", "Re: Ventes publiques 1941", """
Wunderbar. Lot 89 ist es. Damit schließt sich die Lücke: 1939 verkauft, 1941 in Paris, 1946 beim Konsul. Schreib es auf, bitte mit allen Fußnoten.""")
letter("curator", "2018-12-10 12:00", "mb", "staff", "Christmas", """
Herring and speeches, rope store, 20 December at four. Ole and Jonas are coming too. — Marta ⚓""", encoding="base64")
letter("curator", "2019-04-15 13:19", "av", "cr", "Your new laptop", """
The disk password is on paper in your pigeonhole. This mail only says that the paper is there.""",
    layers=[sealed("cr", cipher="aes-256-gcm")], form="auth-enveloped", **READ, note="AES-256-GCM")
letter("curator", "2019-06-03 10:32", "list", "cr", "[conservators] Digest 41/2019", """
Topics today: 1. Leafing gilding on oak. 2. Smell of a crate from Turku. 3. Looking for a hygrometer, cheap.""", sender_of_list="list",
    parts=[forwarded(Letter("curator", "2019-06-02 21:15", "re", "list", "[conservators] Smell of a crate from Turku", "Does it smell of tar or of smoke? If of smoke, do not open it indoors.", received=True))],
    note="an attached message without S/MIME")
letter("curator", "2019-09-23 16:37", "av", "cr", "Disk errors", """
If you can read this the disk is better than I think.""",
    layers=[sealed("cr", cipher="aes-256-gcm", spoil=spoil_content)], form="auth-enveloped", outcome="undecryptable", note="one bit of the ciphertext is wrong: the authentication tag does not hold")
letter("curator", "2020-11-02 11:54", "av", "cr", "Remote access", """
User name reuter, first password on the telephone. The fingerprint of the gateway ends in 7c 41.""",
    layers=[signed("av"), sealed("cr", cipher="aes-256-gcm"), signed("av")], form="clear-signed>auth-enveloped>clear-signed", **OPENED, note="triple-wrapped with AES-256-GCM and ECDSA")
letter("curator", "2021-01-11 09:16", "is", "cr", "Insurance values 2021", """
The values are updated. The altar wing is now at 310,000, the cutter unchanged.""",
    layers=[signed("is", opaque=True, binary=True)], form="opaque-signed", **VALID, note="Content-Transfer-Encoding: binary", stored="binary")
letter("curator", "2021-08-30 14:00", "office", "cr", "Parcel", """
A parcel for you from Haifa, with cake. It is open already, I am sorry.""", flags="S")
letter("curator", "2022-03-28 10:07", "mb", "cr", "Für das Protokoll", """
Liebe Clara,

die Rückgabe ist abgeschlossen: Übergabe am 21. März in Malmö, Quittung im Panzerschrank, Fach 3. Größer war selten ein leerer Platz in einer Vitrine.""", encoding="8bit",
    layers=[signed("mb-2013")], form="clear-signed", **VALID, note="UTF-8 in 8bit under a signature")
letter("curator", "2022-09-05 08:48", "is", "cr", "Loan request from Tartu", """
Tartu asks for the cog, for eight months. I would say four.""", [PDF("tartu-request.pdf", "Loan request", "Object: cog, model, 1:24")], flags="Sa")
letter("curator", "2023-01-16 15:29", "lq", "cr", "Press pictures", """
Are the pictures of the empty showcase free? We would credit the museum.""")
letter("curator", "2023-11-13 09:00", "tw", "cr", "Retirement", """
I stop at the end of February, with my certificate. The workshop is yours to fill; do take somebody who is afraid of the objects.""",
    layers=[signed("tw", by="gpgsm", opaque=True)], form="opaque-signed", **VALID, note="gpgsm, BER")
letter("curator", "2024-02-19 13:33", "mb", "cr is", "Budget for the store", """
Confidential until the board has decided: 60,000 for the new shelves, if the roof holds another year.""",
    layers=[sealed("cr is", oaep=True), signed("mb-2013", pss=True)], form="enveloped>clear-signed", **OPENED, note="RSA-OAEP around RSA-PSS")
letter("curator", "2024-05-06 10:44", "av", "cr", "Migration", """
Your mailbox is copied at the weekend of 15 June. Please leave everything as it is, the compressed ones too, I want to see what the new tool says about them.""", new=True)
letter("curator", "2024-06-10 16:21", "mb", "cr", "Key files", """
Aino asks for all key files. Yours too, please, the one from 2012. She knows that the files have no passwords. She is not happy about it.""", new=True)

# ---------------------------------------------------------------------------------------- Loans 2016 (a subfolder)

letter("loans", "2016-01-18 10:05", "is", "cr", "Amber Road 2016: list of loans", """
23 objects go to Gdańsk, 11 to Riga, 4 stay as a reserve. The list is binding from today.""", [file_part("loans-2016.csv", "text/csv", b"no,object,to\r\n1,amber chess set,Gdansk\r\n2,amber mirror,Gdansk\r\n3,compass,Riga\r\n")],
    layers=[signed("is", by="nss")], form="clear-signed", **VALID, note="NSS", flags="Sa")
letter("loans", "2016-01-25 14:14", "am", "cr", "Prêt du miroir", """
Nous prêtons le miroir aux conditions convenues. L'assurance clou à clou est à votre charge.""",
    layers=[signed("am", chain="signer")], form="clear-signed", outcome="kept", verdict="indeterminate", note="chain-untrusted or chain-incomplete: Moreau's root is attached to other messages, and is not in --trust", flags="Sa")
letter("loans", "2016-02-01 09:00", "ek", "cr is", "Lorries for Gdańsk", """
Two lorries, 17 April at 20:00 at your gate. We drive at night because of the temperature.""", flags="S")
letter("loans", "2016-02-08 16:55", "pd", "is cr", "Route and alarm codes", """
Route: ferry at 23:45, arrival 5:30. The code of the transport alarm is the inventory number of the casket, without the stroke.""",
    layers=[sealed("is cr", by="gpgsm"), signed("pd", by="gpgsm", opaque=True)], form="enveloped>opaque-signed", **OPENED, note="gpgsm on both layers", flags="Sab")
letter("loans", "2016-02-22 11:20", "tw", "cr", "Packing list", """
Crates 1 to 9 are packed and sealed (4310 to 4318). Crate 10 waits for the mirror.""", [TXT("crate 1  seal 4310\ncrate 2  seal 4311\ncrate 3  seal 4312\n", "seals.txt")], flags="Sa")
letter("loans", "2016-04-22 08:40", "is", "cr", "All arrived", """
All 23 unpacked, checked and signed for. One nail too many in crate 4, it is ours.""", flags="S")
letter("loans", "2016-09-26 12:50", "office", "cr", "Thank-you letters", """
Thank-you letters for the lenders are ready to be signed, 14 of them.""", new=True)

# ------------------------------------------------------------------------------------------- Sent (a subfolder)
# Nothing here went through a mail server on its way in: the epoch in the file name gives the time.

letter("sent", "2012-07-02 09:10", "cr", "mb", "Re: Welcome", """
Thank you! The stove works. So does the certificate, I hope.""")
letter("sent", "2013-07-08 15:25", "cr", "is", "Loan policy", """
I agree with the draft as it is now, version 4 of 5 July.""",
    layers=[signed("cr")], form="clear-signed", **VALID, note="no Received header: the time is the file name's")
letter("sent", "2014-10-13 17:40", "cr", "am", "Question about 1941", """
Cher Monsieur,

might your archive hold the sale catalogue of March 1941, lots 80 to 100? I must ask you to keep this to yourself.""",
    layers=[sealed("am")], form="enveloped", outcome="no-key", note="only to Moreau: her own program did not encrypt to herself")
letter("sent", "2015-06-22 10:30", "cr", "tw", "Altar wing: decision", """
We do nothing to the panel until the second laboratory has answered. Please keep it flat and dark.""",
    layers=[sealed("tw cr", by="gpgsm"), signed("cr", by="gpgsm")], form="enveloped>clear-signed", **OPENED, note="gpgsm on both layers")
letter("sent", "2016-05-30 09:55", "cr", "av", "Only for the elliptic one", """
You asked for a mail that only your new key can open. Here it is. The answer to your question is forty-one.""",
    layers=[sealed("av")], form="enveloped", **READ, note="ECDH on P-256 alone")
letter("sent", "2017-06-12 14:35", "cr", "list", "[conservators] Re: Azurite over red lake", """
The second laboratory has confirmed it. Tomás was right, the article will come out in autumn.""", stored="crlf")
letter("sent", "2018-03-14 11:15", "cr", "am", "Re: Ventes publiques 1941", """
Merci mille fois. Lot 89 est le nôtre, et il ne l'est plus.""",
    layers=[sealed("am cr")], form="enveloped", **READ, note="Moreau's key is missing, Reuter's own copy opens it")
letter("sent", "2019-11-25 10:22", "cr", "office", "Opening times of the archive", """
Tuesdays and Thursdays, nine to one, and not "by arrangement", please. By arrangement they come on Fridays.""", stored="crlf")
letter("sent", "2021-02-15 16:10", "cr", "mb", "Statement on the new acquisition", """
I have checked the provenance of the harbour view of 1788 without a gap and recommend the purchase.""",
    layers=[signed("cr", opaque=True, pss=True)], form="opaque-signed", **VALID, note="RSA-PSS, stored with CRLF", stored="crlf")
letter("sent", "2022-06-20 13:05", "cr", "mb is tw av", "Move of the store", """
Order of the move, not to leave this circle: amber on the first night, silver on the second, the rest in daylight.""",
    layers=[sealed("mb-2013 is tw av cr")], form="enveloped", **READ, note="five recipients, four RSA and one ECDH")
letter("sent", "2023-03-20 09:36", "cr", "is", "Tartu", """
Five months. My last word.""", new=True)
