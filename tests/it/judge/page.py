"""Judges report.html: page.py REPORT.html summary.json [TEXT that may not stand there as it is ...]"""

import json
import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
HARMLESS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div", "p", "h1",
    "h2", "h3", "ul", "li", "a", "strong", "small", "code", "span", "bdi", "data", "dl", "dt", "dd", "table", "caption", "thead",
    "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "desc", "rect", "text", "polyline", "line", "g",
}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.ids, self.links, self.counts, self.text = [], [], set(), [], {}, []
        self.policy = self.captions = self.tables = self.pictures = self.named = 0
        self.headings = []

    def handle_starttag(self, tag, attributes):
        held = dict(attributes)
        if len(held) != len(attributes):
            self.wrong.append(f"<{tag}> holds an attribute twice")
        if tag not in HARMLESS:
            self.wrong.append(f"<{tag}> has no place on the page")
        for name, value in attributes:
            if name.startswith("on") or name in ("src", "srcset", "style", "xlink:href", "action", "background"):
                self.wrong.append(f"<{tag} {name}>")
            if name == "href":
                self.links.append(value)
            if name == "id":
                if value in self.ids:
                    self.wrong.append(f"id {value} twice")
                self.ids.add(value)
        if tag == "meta" and held.get("http-equiv") == "Content-Security-Policy":
            self.policy = held["content"]
        if tag == "data":
            self.counts[held["data-of"]] = int(held["value"])
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag == "svg":
            self.pictures += 1
            self.named += held.get("role") == "img" and "aria-labelledby" in held
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes what is not open")

    def handle_data(self, data):
        self.text.append(data)


def flat(summary):
    counts = {name: summary[name] for name in ("messages", "mailboxes", "written", "withheld", "copies") if summary.get(name) is not None}
    counts["failures"] = sum(sum(reasons.values()) for reasons in summary["failures"].values())
    for group in ("outcomes", "verdicts", "signatures"):
        counts.update({f"{group}.{word}": number for word, number in summary[group].items()})
    return counts


def main(file, summary, *hostile):
    source = open(file, encoding="utf-8", newline="").read()
    page = Page()
    page.feed(source)
    page.close()
    wrong = page.wrong
    wrong += [f"<{tag}> stays open" for tag in page.open]
    wrong += [f"link to {link}" for link in page.links if not link.startswith("#") or link[1:] not in page.ids]
    lower = source.lower()
    wrong += [f"{word} in the source" for word in ("<script", "javascript:", "http://", "https://", "url(", "@import") if word in lower]
    if not page.policy or "default-src 'none'" not in page.policy or "unsafe" in page.policy:
        wrong.append(f"policy {page.policy}")
    if page.tables != page.captions or page.pictures != page.named:
        wrong.append(f"{page.tables} tables, {page.captions} captions, {page.pictures} pictures, {page.named} with a name")
    if page.headings[:1] != [1] or page.headings.count(1) != 1:
        wrong.append(f"headings {page.headings}")
    bad = [c for c in source if c != "\n" and (ord(c) < 32 or 0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069)]
    if bad:
        wrong.append(f"characters that act: {set(bad)}")
    for name, number in flat(json.load(open(summary, encoding="utf-8"))).items():
        shown = page.counts.pop(name, 0)
        if shown != number:
            wrong.append(f"{name}: the page says {shown}, summary.json {number}")
    wrong += [f"{name}: {number} on the page alone" for name, number in page.counts.items() if number]
    text = "".join(page.text)
    for value in hostile:
        if value not in text:
            wrong.append(f"{value!r} is not shown")
        if "<" in value and value in source:
            wrong.append(f"{value!r} is not escaped")
    print("\n".join(wrong) or f"{len(source)} bytes, {page.tables} tables, {page.pictures} pictures")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
