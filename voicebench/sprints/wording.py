"""Every word of the sprint's page, in English and in French: one table, one row a sentence.

``{places}`` are filled by `voicebench.sprints.words.Words`, which also writes the figures.
"""

from __future__ import annotations

from voicebench.sprints.wording_found import AS_FOUND, FOUND
from voicebench.sprints.wording_labels import LABELS

WORDING: dict[str, tuple[str, str]] = {
    # Headings and the first lines.
    "sprint": ("Sprint {n}", "Sprint {n}"),
    "sprint titled": ("Sprint {n}: {title}", "Sprint {n} : {title}"),
    "two": ("{first}; {second}", "{first} ; {second}"),
    "of result": ("{result}: {text}", "{result} : {text}"),
    "verdict": ("{called}: {why}", "{called} : {why}"),
    "started": ("Started: {at}", "Début : {at}"),
    "commit": ("commit", "commit"),
    "imported": (
        "The figures are imported: voicebench did not measure them.",
        "Les chiffres sont importés : voicebench ne les a pas mesurés.",
    ),
    "all met": ("all {n} targets met", "{n} objectifs sur {n} atteints"),
    "some met": ("{met} of {n} targets met", "{met} objectifs sur {n} atteints"),
    "some met.one": ("{met} of {n} targets met", "{met} objectif sur {n} atteint"),
    "no target": ("no figure to judge", "aucun chiffre à juger"),
    "more advice": (
        "and {n} more under “What to try next”",
        "et {n} de plus sous « À essayer ensuite »",
    ),
    # A run's verdict, and why.
    "word.PASS": ("PASS", "RÉUSSI"),
    "word.CLOSE": ("CLOSE", "PROCHE"),
    "word.FAIL": ("FAIL", "ÉCHEC"),
    "word.NOT SHOWN": ("NOT SHOWN", "NON DÉMONTRÉ"),
    "word.UNDECIDED": ("UNDECIDED", "INDÉCIS"),
    "word.NOT MEASURED": ("NOT MEASURED", "NON MESURÉ"),
    "word.INVALID": ("INVALID", "INVALIDE"),
    "word.NOTHING MEASURED": ("NOTHING MEASURED", "RIEN DE MESURÉ"),
    "word.INTERRUPTED": ("INTERRUPTED", "INTERROMPU"),
    "word.NOT KEPT": ("NOT KEPT", "NON CONSERVÉ"),
    "word.NOT JUDGED": ("NOT JUDGED", "NON JUGÉ"),
    "why.gates": ("{passed} of {gates} gates passed", "{passed} seuils sur {gates} respectés"),
    "why.gates.one": ("{passed} of {gates} gates passed", "{passed} seuil sur {gates} respecté"),
    "why.baseline": (
        "{kept} of {figures} figures kept the baseline",
        "{kept} chiffres sur {figures} tiennent la référence",
    ),
    "why.baseline.one": (
        "{kept} of {figures} figures kept the baseline",
        "{kept} chiffre sur {figures} tient la référence",
    ),
    "why.nothing compared": (
        "nothing was compared with the baseline",
        "rien n’a été comparé à la référence",
    ),
    "why.no gate": ("no gate is set", "aucun seuil n’est fixé"),
    "why.failed": ("{failed} of {turns} turns failed", "{failed} tours sur {turns} ont échoué"),
    "why.failed.one": ("{failed} of {turns} turns failed", "{failed} tour sur {turns} a échoué"),
    "why.noise": (
        "the machine was too noisy for a verdict, so nothing is judged; measure again",
        "la machine était trop perturbée pour un verdict, rien n’est donc jugé ; mesurer à nouveau",
    ),
    "why.refused": (
        "the numbers of the baseline mean other things, so nothing is judged",
        "les chiffres de la référence ont un autre sens, rien n’est donc jugé",
    ),
    "why.interrupted": (
        "the run was interrupted after {turns} turns, so nothing is judged",
        "la mesure a été interrompue après {turns} tours, rien n’est donc jugé",
    ),
    "why.interrupted.one": (
        "the run was interrupted after {turns} turn, so nothing is judged",
        "la mesure a été interrompue après {turns} tour, rien n’est donc jugé",
    ),
    "why.interrupted of": (
        "the run was interrupted after {turns} of {planned} turns, so nothing is judged",
        "la mesure a été interrompue après {turns} des {planned} tours, rien n’est donc jugé",
    ),
    "why.all failed": (
        "{turns} measured turns, and every one failed",
        "{turns} tours mesurés, et tous ont échoué",
    ),
    "why.all failed.one": (
        "{turns} measured turn, and it failed",
        "{turns} tour mesuré, et il a échoué",
    ),
    "why.no turn": ("no turn was measured", "aucun tour n’a été mesuré"),
    "flagged": (
        "the audio of {flagged} runs is flagged (run {runs}): {finding}; listen to it with "
        "--save-audio",
        "le son de {flagged} essais est signalé (essais {runs}) ; l’écouter avec --save-audio",
    ),
    "flagged.one": (
        "the audio of {flagged} run is flagged (run {runs}): {finding}; listen to it with "
        "--save-audio",
        "le son de {flagged} essai est signalé (essai {runs}) ; l’écouter avec --save-audio",
    ),
    # The executive summary.
    "summary": ("Executive summary", "Résumé exécutif"),
    "metric": ("Metric", "Métrique"),
    "target": ("Target", "Objectif"),
    "status": ("Status", "Statut"),
    "all pass": ("pass", "réussis"),
    "maintained": ("maintained", "maintenu"),
    "improved": ("improved", "amélioré"),
    "regressed": ("regressed", "régressé"),
    "close": ("close", "proche"),
    "partly": ("{kept}/{of} pass", "{kept}/{of} réussis"),
    "missed": ("missed", "manqué"),
    "met": ("met", "atteint"),
    "not measured": ("not measured", "non mesuré"),
    "not judged": ("not judged", "non jugé"),
    "not comparable": ("{figure}, not comparable", "{figure}, non comparable"),
    "not compared": ("{labels}: not comparable, {why}", "{labels} : non comparable, {why}"),
    "own gate": (
        "{label}: held to the target of every sprint; the run’s own gate is {gate}",
        "{label} : jugé par l’objectif de tout sprint ; le seuil de la mesure est {gate}",
    ),
    "before imported": (
        "The figures of sprint {n} were imported: another machine may have measured them.",
        "Les chiffres du sprint {n} sont importés : une autre machine a pu les mesurer.",
    ),
    "other models": (
        "Sprint {n} ran with other models: {differing}.",
        "Le sprint {n} a tourné avec d’autres modèles : {differing}.",
    ),
    "why.not judged": (
        "the run of sprint {n} is not judged",
        "la mesure du sprint {n} n’est pas jugée",
    ),
    "why.target": (
        "sprint {n} measured something else ({differing})",
        "le sprint {n} a mesuré autre chose ({differing})",
    ),
    "why.same run": (
        "sprint {n} is made of the same run: nothing was measured since",
        "le sprint {n} est fait de la même mesure : rien n’a été mesuré depuis",
    ),
    "why.prompts": (
        "{common_share} of the prompts are those of sprint {n}",
        "{common_share} des questions sont celles du sprint {n}",
    ),
    "why.statistic": (
        "sprint {n} gives {their_statistic}, this one {our_statistic}",
        "le sprint {n} donne {their_statistic}, celui-ci {our_statistic}",
    ),
    "why.count": (
        "sprint {n} gives the {our_statistic} of {theirs} values, this one of {ours}",
        "le sprint {n} donne le {our_statistic} de {theirs} valeurs, celui-ci de {ours}",
    ),
    "why.count unknown": (
        "a {our_statistic} depends on the number of values, which is not known of both",
        "un {our_statistic} dépend du nombre de valeurs, inconnu d’un côté",
    ),
    "statistic.mean": ("mean", "moyenne"),
    "statistic.stdev": ("deviation", "écart type"),
    "statistic.min": ("min", "min"),
    "statistic.max": ("max", "max"),
    "statistic.max of": ("max of {n}", "max de {n}"),
    "statistic.range": ("a range", "une étendue"),
    "statistic.rate": ("share", "part"),
    "statistic.under": ("under {limit}", "sous {limit}"),
    "statistic.within": ("within {limit}", "au plus {limit}"),
    "statistic.": ("one figure without its statistic", "un chiffre sans sa statistique"),
    # What was done.
    "changes": ("Key changes", "Changements clés"),
    "before": ("Before:", "Avant :"),
    "after": ("After:", "Après :"),
    "more commits.one": ("and {n} more commit", "et {n} autre commit"),
    "more files.one": ("and {n} more file", "et {n} autre fichier"),
    "no commits": ("No commit is known.", "Aucun commit n’est connu."),
    "more commits": ("and {n} more commits", "et {n} autres commits"),
    "files": ("Files changed", "Fichiers modifiés"),
    "file": ("File", "Fichier"),
    "what changed": ("What changed", "Ce qui a changé"),
    "no files": ("No change of a file is known.", "Aucune modification de fichier n’est connue."),
    "more files": ("and {n} more files", "et {n} autres fichiers"),
    # What was measured.
    "first chunks": ("First chunk by text", "Premier segment selon le texte"),
    "text": ("Text", "Texte"),
    "cold": ("cold", "à froid"),
    "lengths": ("TTS by text length", "TTS selon la longueur du texte"),
    "characters": ("Characters", "Caractères"),
    "chunks": ("Chunks", "Segments"),
    "first byte": ("First byte", "Premier octet"),
    "total": ("Total", "Total"),
    "runs": ("Runs", "Essais"),
    "no runs": ("No run was measured.", "Aucun essai n’a été mesuré."),
    "run": ("Run", "Essai"),
    "llm": ("LLM complete", "LLM complet"),
    "ttfb": ("TTS TTFB", "TTS TTFB"),
    "first audio": ("First audio", "Premier son"),
    "in time": ("First audio in time", "Premier son à temps"),
    "pass": ("✓ pass", "✓ réussi"),
    "fail": ("✗ fail", "✗ raté"),
    "failed": ("! failed", "! en échec"),
    "success": (
        "**Success rate:** {kept}/{of} under {limit} ({share})",
        "**Taux de réussite :** {kept}/{of} sous {limit} ({share})",
    ),
    "best": ("**Best run:** {best} (run {run})", "**Meilleur essai :** {best} (essai {run})"),
    "shortlist": (
        "the {shown} slowest of {count} runs are shown",
        "les {shown} plus lents des {count} essais sont montrés",
    ),
    "tests": ("Tests", "Tests"),
    "tests passed": (
        "{passed}/{total} tests pass ({share}).",
        "{passed}/{total} tests réussis ({share}).",
    ),
    "skipped": ("{n} skipped", "{n} ignorés"),
    "skipped.one": ("{n} skipped", "{n} ignoré"),
    "warnings": ("{n} warnings", "{n} avertissements"),
    "warnings.one": ("{n} warning", "{n} avertissement"),
    "no tests": ("No test report was given.", "Aucun rapport de tests n’a été donné."),
    # The score card.
    "score card": ("Score card", "Grille de notes"),
    "aspect": ("Aspect", "Aspect"),
    "change": ("Change", "Écart"),
    "from": ("From", "D’après"),
    "by hand": ("entered by hand", "saisi à la main"),
    "score total": ("Total", "Total"),
    "other sum": (
        "The total of sprint {n} is given as {total}; its aspects add up to {sum}.",
        "Le total du sprint {n} est donné comme {total} ; la somme de ses aspects est {sum}.",
    ),
    "totals not compared": (
        "The totals are not comparable: other aspects have points, a person gave points where the "
        "other sprint has a formula’s, or another target was measured.",
        "Les totaux ne sont pas comparables : d’autres aspects ont des points, une personne a noté "
        "là où l’autre sprint a une formule, ou une autre cible a été mesurée.",
    ),
    "quality": ("Quality", "Qualité"),
    "latency": ("Latency", "Latence"),
    "streaming": ("Streaming", "Streaming"),
    "humanity": ("Humanity", "Humanité"),
    "connectivity": ("Connectivity", "Connectivité"),
    "score.not judged": ("the run is not judged", "la mesure n’est pas jugée"),
    "score.counted": ("{good}/{of}", "{good}/{of}"),
    "score.duration": ("{took_ms} of {limit_ms}", "{took_ms} sur {limit_ms}"),
    "score.succeeded": ("{good_share} of the turns", "{good_share} des tours"),
    "score.continuity": ("{kept_share} lag ≤ {limit_ms}", "{kept_share} retard ≤ {limit_ms}"),
    "score.overlap": ("{early_share} overlap", "{early_share} de recouvrement"),
    "score.sound": ("first sound {sound_ms}", "premier son audible {sound_ms}"),
    "score.smooth": ("{smooth_share} without a stall", "{smooth_share} sans coupure"),
    # The analysis.
    "analysis": ("Analysis", "Analyse"),
    "well": ("What goes well", "Ce qui va bien"),
    "improve": ("What has to improve", "Ce qui doit s’améliorer"),
    "next": ("What to try next", "À essayer ensuite"),
    "as reported": ("As reported:", "D’après le rapport :"),
    "as figures say": ("From the figures:", "D’après les chiffres :"),
    "nothing": ("Nothing in the figures says so.", "Rien dans les chiffres ne le dit."),
    "good.target": (
        "{label} is {figure}: {share} inside the target of {limit}.",
        "{label} : {figure}, soit {share} de marge sous l’objectif de {limit}.",
    ),
    "good.exact": (
        "{label}: {figure}, as the target of {limit} asks.",
        "{label} : {figure}, comme le veut l’objectif de {limit}.",
    ),
    "good.better": (
        "{label} went from {before} to {figure} ({change}).",
        "{label} passe de {before} à {figure} ({change}).",
    ),
    "good.best": (
        "The best run speaks after {figure} (run {run}), {share} before the limit of {limit}.",
        "Le meilleur essai parle après {figure} (essai {run}), {share} avant la limite de {limit}.",
    ),
    "good.tests": (
        "All {total} tests pass, {more} more than in sprint {before}.",
        "Les {total} tests réussissent, {more} de plus qu’au sprint {before}.",
    ),
    "good.tests alone": ("All {total} tests pass.", "Les {total} tests réussissent."),
    "good.score": (
        "The score card rose from {before} to {total} points.",
        "La note passe de {before} à {total} points.",
    ),
    "bad.target": (
        "{label} reaches {figure}, {share} over the target of {limit}.",
        "{label} atteint {figure}, {share} au-delà de l’objectif de {limit}.",
    ),
    "bad.under": (
        "{label} reaches {figure}, {share} short of the target of {limit}.",
        "{label} atteint {figure}, {share} de moins que l’objectif de {limit}.",
    ),
    "bad.zero": (
        "{label}: {figure}, and the target is {limit}.",
        "{label} : {figure}, pour un objectif de {limit}.",
    ),
    "bad.runs": (
        "{missed} of {of} runs miss {limit}; the slowest speaks after {figure} (run {run}).",
        "{missed} essais sur {of} dépassent {limit} ; le plus lent parle après {figure} "
        "(essai {run}).",
    ),
    "bad.runs.one": (
        "{missed} of {of} runs misses {limit}; the slowest speaks after {figure} (run {run}).",
        "{missed} essai sur {of} dépasse {limit} ; le plus lent parle après {figure} "
        "(essai {run}).",
    ),
    "bad.stalls": (
        "{stalled} of {of} runs stall while they play.",
        "{stalled} essais sur {of} se coupent pendant la lecture.",
    ),
    "bad.stalls.one": (
        "{stalled} of {of} runs stalls while it plays.",
        "{stalled} essai sur {of} se coupe pendant la lecture.",
    ),
    "bad.worse": (
        "{label} went from {before} to {figure} ({change}).",
        "{label} passe de {before} à {figure} ({change}).",
    ),
    "bad.tests": ("{failed} of {total} tests fail.", "{failed} tests sur {total} échouent."),
    "bad.tests.one": ("{failed} of {total} tests fails.", "{failed} test sur {total} échoue."),
    "bad.first": (
        "Run {run} takes {figure}, {share} more than the median of the later ones ({median}).",
        "L’essai {run} prend {figure}, {share} de plus que la médiane des suivants ({median}).",
    ),
    "bad.aspect": (
        "{aspect} has the lowest score: {points} of 10.",
        "{aspect} a la note la plus basse : {points} sur 10.",
    ),
    "bad.measure": ("{label} was not measured.", "{label} n’a pas été mesuré."),
    "bad.not judged": ("{result} is {word}: {why}.", "{result} : {word}, {why}."),
    "next.words": (
        "Begin with a first chunk of {fewer} instead of {words} words: the voice takes {figure} "
        "(median) for it.",
        "Commencer par un premier segment de {fewer} au lieu de {words} mots : la voix met "
        "{figure} (médiane) pour lui.",
    ),
    "next.warm": (
        "Warm up more: run {run} is still {share} slower than the later ones.",
        "Préchauffer davantage : l’essai {run} est encore {share} plus lent que les suivants.",
    ),
    "next.overlap": (
        "Let the voice begin while the reply is being written: the whole reply takes {figure} of "
        "the {whole} to first audio ({share}).",
        "Laisser la voix commencer pendant que la réponse s’écrit : la réponse entière prend "
        "{figure} des {whole} jusqu’au premier son ({share}).",
    ),
    "next.llm": (
        "Make the language model faster: its reply takes {figure} of the {whole} to first audio "
        "({share}).",
        "Accélérer le modèle de langue : sa réponse prend {figure} des {whole} jusqu’au premier "
        "son ({share}).",
    ),
    "next.llm_total": (
        "Take a smaller language model, or let it answer in fewer words: its whole reply takes "
        "{figure}, and {limit} is the target.",
        "Prendre un modèle de langue plus petit, ou le faire répondre en moins de mots : sa "
        "réponse entière met {figure}, pour un objectif de {limit}.",
    ),
    "next.tts_ttfb": (
        "Take a smaller voice for the first chunk: its first byte takes up to {figure}, and "
        "{limit} is the target.",
        "Prendre une voix plus petite pour le premier segment : son premier octet met jusqu’à "
        "{figure}, pour un objectif de {limit}.",
    ),
    "next.first_audio": (
        "Shorten the longest part of the {figure} to first audio, where {limit} is the target: the "
        "runs above show the reply and the voice apart.",
        "Raccourcir la plus longue part des {figure} jusqu’au premier son, pour un objectif de "
        "{limit} : les essais ci-dessus montrent la réponse et la voix séparément.",
    ),
    "next.measure": (
        "Measure {label} too: what is not measured meets no target.",
        "Mesurer aussi {label} : ce qui n’est pas mesuré n’atteint aucun objectif.",
    ),
    "next.errors": (
        "Mend what makes turns fail before anything else: {figure} of them do.",
        "Réparer d’abord ce qui fait échouer les tours : {figure} échouent.",
    ),
    "conclusion": ("Conclusion", "Conclusion"),
    "box.score": ("Score {total}", "Note {total}"),
    "box.before": ("sprint {n}: {total}", "sprint {n} : {total}"),
    "box.targets": ("Targets met: {met}/{n}", "Objectifs atteints : {met}/{n}"),
    "box.tests": ("Tests: {passed}/{total}", "Tests : {passed}/{total}"),
    "box.runs": (
        "First audio: {kept}/{of} under {limit} ({share}), best {best} (run {run})",
        "Premier son : {kept}/{of} sous {limit} ({share}), meilleur {best} (essai {run})",
    ),
}
WORDING |= LABELS
WORDING |= {key: (AS_FOUND, french) for key, french in FOUND.items()}
