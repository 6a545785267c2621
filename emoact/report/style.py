"""How a report looks: the colours of the dashboard, on light and dark paper and in print."""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#0f151c;--muted:#5a6572;--line:#d7dde3;
--soft:#f4f6f8;--accent:#0e6e6b;--note:#0e6e6b;--warning:#9a6a00;--error:#b32d1f}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8eaed;--muted:#a3aeba;
--line:#363e47;--soft:#1e2329;--accent:#5cc8c0;--note:#5cc8c0;--warning:#f0b429;--error:#f2684c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
:lang(ja) body,body:lang(ja){font-family:system-ui,-apple-system,"Hiragino Sans","Yu Gothic UI",
"Yu Gothic","Noto Sans CJK JP","Noto Sans JP",sans-serif;line-height:1.8}
main{max-width:1080px;margin:0 auto;padding:40px 24px 96px}
h1{font-size:1.9rem;line-height:1.25;margin:0 0 4px;font-weight:650}
h2{font-size:1.3rem;line-height:1.3;margin:52px 0 12px;padding-top:14px;
border-top:1px solid var(--line)}
h3{font-size:1.06rem;line-height:1.4;margin:30px 0 8px}
h1,h2,h3{text-wrap:balance}
p{margin:10px 0;max-width:74ch}
.subtitle{color:var(--muted);margin:0 0 20px}
a{color:var(--accent)}
nav{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:12px 20px}
nav ol{columns:3 220px;margin:0;padding-left:26px;font-size:.94rem}
nav li{break-inside:avoid;margin:0;padding:2px 0}
nav a{text-decoration:none}
nav a:hover,nav a:focus{text-decoration:underline}
ul{margin:10px 0;padding-left:22px;max-width:74ch}
li{margin:4px 0}
code{font:.87em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
"Noto Sans Mono CJK JP",monospace;background:var(--soft);padding:1px 4px;border-radius:4px;
overflow-wrap:anywhere}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:12px 14px;
overflow-x:auto;margin:12px 0}
pre code{background:none;padding:0;overflow-wrap:normal}
.remark{border-left:4px solid var(--note);background:var(--soft);padding:10px 14px;
border-radius:0 6px 6px 0;max-width:none}
.remark.warning{border-color:var(--warning)}
.remark.error{border-color:var(--error)}
.wide{overflow-x:auto;margin:14px 0}
table{border-collapse:collapse;min-width:60%;font-size:.92rem;line-height:1.5}
caption{caption-side:top;text-align:left;color:var(--muted);padding:0 0 6px}
th,td{text-align:left;vertical-align:top;padding:5px 16px 5px 0;
border-bottom:1px solid var(--line)}
td:first-child{white-space:nowrap}td:last-child:not(.number){min-width:11em}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th,th.number{font-weight:600;border-bottom-color:var(--muted);vertical-align:bottom;
white-space:normal}
td code{background:none;padding:0}
figure{margin:20px 0 8px}
figure svg{display:block;width:100%;height:auto}
figcaption{color:var(--muted);font-size:.92rem;max-width:80ch;margin-top:4px}
@media print{body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}
h2,h3{break-after:avoid}figure,tr,.remark{break-inside:avoid}.wide{overflow:visible}
thead{display:table-header-group}a{color:inherit;text-decoration:none}
table{font-size:8.5pt}td code{overflow-wrap:anywhere}}
@page{margin:16mm}
"""
