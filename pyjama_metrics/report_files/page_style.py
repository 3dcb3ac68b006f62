"""The looks of the exported page: light, dark and on paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--ink:#16181d;--soft:#5b6270;--line:#e3e6eb;
--reported:#2458c5;--computed:#8fb0f2;--unpriced:#b45f06;--success:#1f7a4e;--error:#c23434}
@media (prefers-color-scheme:dark){:root{--back:#101216;--card:#191c22;--ink:#e9ebf0;--soft:#9aa3b2;--line:#2b3039;
--reported:#6f9cf5;--computed:#35589f;--unpriced:#e0a255;--success:#4fb783;--error:#ee6d6d}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:1120px;margin:0 auto;padding:40px 24px 56px}
header{margin-bottom:24px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.02em;margin:0 0 4px}
h2{font-size:17px;letter-spacing:-.01em;margin:0 0 12px}
.span,.about,.empty,footer{color:var(--soft)}
.span,.about{margin:0 0 12px;overflow-wrap:anywhere}
section,details{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin-bottom:18px}
.tiles{display:grid;grid-template-columns:minmax(300px,1.7fr) repeat(3,1fr);gap:14px;background:none;border:0;padding:0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px 20px;min-width:0}
.label{display:block;color:var(--soft);font-size:13px}
.tile strong{display:block;font-size:25px;line-height:1.25;letter-spacing:-.02em;margin:2px 0 6px;overflow-wrap:anywhere}
.main strong{font-size:36px}
.below{color:var(--soft);font-size:13px}
.line{display:flex;gap:2px;height:8px;border-radius:4px;overflow:hidden;margin:8px 0 10px}
.line i{display:block;min-width:2px}
.parts{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:0;padding:0;font-size:13px;color:var(--soft)}
.parts b{color:var(--ink);font-weight:600}
.parts li::before{content:"";display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:6px;background:currentColor}
.parts .reported::before{background:var(--reported)}.parts .computed::before{background:var(--computed)}
.parts .unpriced::before{background:var(--unpriced)}
.legend{margin:-6px 0 10px;color:var(--soft);font-size:13px}
.key{margin-right:18px}.key i{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:6px}
i.reported{background:var(--reported)}i.computed{background:var(--computed)}
i.success{background:var(--success)}i.error{background:var(--error)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg .grid{stroke:var(--line)}svg .axis{fill:var(--soft);font-size:13px}
svg .slot{fill:transparent}svg g:hover .slot{fill:var(--line);fill-opacity:.5}
svg .reported{fill:var(--reported)}svg .computed{fill:var(--computed)}
svg .success{fill:var(--success)}svg .error{fill:var(--error)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:7px 10px;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
th:first-child,td:first-child{padding-left:0}th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-weight:500;font-size:13px}
tbody th{font-weight:500;white-space:normal;overflow-wrap:anywhere;min-width:110px;max-width:340px}
tbody th small{display:block;color:var(--soft);font-weight:400;font-size:12px}
tbody tr:last-child>*{border-bottom:2px solid var(--line)}
tfoot th,tfoot td{border-bottom:0;font-weight:600}
.figure{text-align:right}.none{color:var(--soft);font-style:italic}
.cost{font-weight:600}.unknown{color:var(--unpriced)}
.share{min-width:84px}.share span{display:block}
.bar{display:block;height:4px;border-radius:2px;background:var(--reported);opacity:.75;margin:2px 0 0 auto;min-width:2px}
.outcome.completed{color:var(--success)}.outcome.failed,.outcome.crashed{color:var(--error)}
.outcome.stopped,.outcome.open{color:var(--soft)}
details summary{cursor:pointer;color:var(--soft)}details[open] summary{margin-bottom:10px}
.sure ul{margin:0;padding-left:20px}.sure li{margin:3px 0;overflow-wrap:anywhere}
footer{font-size:13px;padding:4px 2px}
@media (max-width:900px){.tiles{grid-template-columns:repeat(3,1fr)}.main{grid-column:1/-1}main{padding:24px 16px 40px}
table{font-size:13px}th,td{padding:6px 5px}.share{min-width:48px}section{padding:16px}svg .axis{font-size:16px}}
@media (max-width:520px){.tiles{grid-template-columns:1fr}}
@media print{:root{color-scheme:light;--back:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--reported:#2458c5;
--computed:#8fb0f2;--unpriced:#8a4a05;--success:#1f7a4a;--error:#b02a2a}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}
section,details,.tile{border-radius:0;padding:10px 0;border-width:0 0 1px}.tiles{padding:0}
tr,.chart,.tile{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}table{font-size:11px}th,td{padding:4px 5px}}
"""
