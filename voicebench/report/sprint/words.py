"""The words of the sprint report, in English and French. Figures look the same in both."""

from __future__ import annotations

from typing import Literal

Lang = Literal["en", "fr"]

EN: dict[str, str] = {
    "sprint": "Sprint {n}",
    "started": "Started",
    "status": "Status",
    "commits": "Commits",
    "results": "Results",
    "all met": "all {n} targets met",
    "some met": "{met} of {n} targets met",
    "summary": "Executive summary",
    "metric": "Metric",
    "this sprint": "This sprint",
    "target": "Target",
    "changes": "Key changes",
    "no commits": "No commit is known.",
    "more commits": "and {n} more commits",
    "lengths": "TTS by text length",
    "characters": "Characters",
    "chunks": "Chunks",
    "first byte": "First byte",
    "total": "Total",
    "runs": "Runs",
    "run": "Run",
    "llm": "LLM complete",
    "ttfb": "TTS TTFB",
    "first audio": "First audio",
    "pass": "✓ pass",
    "fail": "✗ fail",
    "failed": "! failed",
    "all pass": "pass",
    "success": "**Success rate:** {kept}/{of} under {limit} ({share})",
    "best": "**Best run:** {best} (run {run})",
    "shortlist": "the {shown} slowest of {count} runs are shown",
    "tests": "Tests",
    "tests passed": "{passed}/{total} tests pass ({share}).",
    "no tests": "No test report was given.",
    "score card": "Score card",
    "aspect": "Aspect",
    "points": "Points",
    "change": "Change",
    "from": "From",
    "by hand": "entered by hand",
    "not measured": "not measured",
    "score total": "Total",
    "other sum": "The total is given as {total}; the aspects add up to {sum}.",
    "analysis": "Analysis",
    "well": "What goes well",
    "improve": "What has to improve",
    "next": "What to try next",
    "nothing": "Nothing in the figures says so.",
    "files": "Files changed",
    "file": "File",
    "no files": "No change of a file is known.",
    "more files": "and {n} more files",
    "conclusion": "Conclusion",
    "maintained": "maintained",
    "improved": "improved",
    "regressed": "regressed",
    "close": "close",
    "partly": "{kept}/{of} pass",
    "missed": "missed",
    "met": "met",
    "quality": "Quality",
    "latency": "Latency",
    "streaming": "Streaming",
    "humanity": "Humanity",
    "connectivity": "Connectivity",
    "label.llm_total": "E2E latency",
    "label.tts_ttfb": "TTS TTFB (streaming)",
    "label.first_audio": "E2E first audio",
    "label.errors": "Failed turns",
    "label.tests": "Tests",
    "label.websocket": "WebSocket",
    "stat.mean": "mean",
    "good.target": "{label} is {figure}: {share} inside the target of {limit}.",
    "good.exact": "{label}: {figure}, as the target of {limit} asks.",
    "good.better": "{label} went from {before} to {figure} ({change}).",
    "good.best": "The best run speaks after {figure} (run {run}), {share} before the limit of "
    "{limit}.",
    "good.tests": "All {total} tests pass, {more} more than in sprint {before}.",
    "good.tests alone": "All {total} tests pass.",
    "good.score": "The score card rose from {before} to {total} points.",
    "bad.target": "{label} reaches {figure}, {share} over the target of {limit}.",
    "bad.under": "{label} reaches {figure}, {share} short of the target of {limit}.",
    "bad.zero": "{label} is {figure}, and the target is {limit}.",
    "bad.runs": "{missed} of {of} runs miss {limit}; the slowest speaks after {figure} "
    "(run {run}).",
    "bad.worse": "{label} went from {before} to {figure} ({change}).",
    "bad.tests": "{failed} of {total} tests fail.",
    "bad.first": "Run {run} takes {figure}, {share} more than the median of the later ones "
    "({median}).",
    "bad.aspect": "{aspect} has the lowest score: {points} of 10.",
    "bad.measure": "{label} was not measured.",
    "next.words": "Begin with a first chunk of {fewer} instead of {words} words: the voice takes "
    "{figure} (median) for it.",
    "next.warm": "Warm up more: run {run} is still {share} slower than the later ones.",
    "next.voice": "Take a smaller voice for the first chunk: its first byte takes up to {figure}, "
    "and {limit} is the target.",
    "next.overlap": "Let the voice begin while the reply is being written: the whole reply takes "
    "{figure} of the {whole} to first audio ({share}).",
    "next.llm": "Make the language model faster: its reply takes {figure} of the {whole} to first "
    "audio ({share}).",
    "box.score": "Score {total}/{possible} ({share})",
    "box.before": "sprint {n}: {total}/{possible} ({share})",
    "box.targets": "Targets met: {met}/{n}",
    "box.tests": "Tests: {passed}/{total}",
    "box.runs": "First audio: {kept}/{of} under {limit} ({share}), best {best} (run {run})",
}

FR: dict[str, str] = {
    "sprint": "Sprint {n}",
    "started": "Début",
    "status": "Statut",
    "commits": "Commits",
    "results": "Résultats",
    "all met": "{n} objectifs sur {n} atteints",
    "some met": "{met} objectifs sur {n} atteints",
    "summary": "Résumé exécutif",
    "metric": "Métrique",
    "this sprint": "Ce sprint",
    "target": "Objectif",
    "changes": "Changements clés",
    "no commits": "Aucun commit n’est connu.",
    "more commits": "et {n} autres commits",
    "lengths": "TTS selon la longueur du texte",
    "characters": "Caractères",
    "chunks": "Segments",
    "first byte": "Premier octet",
    "total": "Total",
    "runs": "Essais",
    "run": "Essai",
    "llm": "LLM complet",
    "ttfb": "TTS TTFB",
    "first audio": "Premier son",
    "pass": "✓ réussi",
    "fail": "✗ raté",
    "failed": "! en échec",
    "all pass": "réussis",
    "success": "**Taux de réussite :** {kept}/{of} sous {limit} ({share})",
    "best": "**Meilleur essai :** {best} (essai {run})",
    "shortlist": "les {shown} plus lents des {count} essais sont montrés",
    "tests": "Tests",
    "tests passed": "{passed}/{total} tests réussis ({share}).",
    "no tests": "Aucun rapport de tests n’a été donné.",
    "score card": "Grille de notes",
    "aspect": "Aspect",
    "points": "Points",
    "change": "Écart",
    "from": "D’après",
    "by hand": "saisi à la main",
    "not measured": "non mesuré",
    "score total": "Total",
    "other sum": "Le total est donné comme {total} ; la somme des aspects est {sum}.",
    "analysis": "Analyse",
    "well": "Ce qui va bien",
    "improve": "Ce qui doit s’améliorer",
    "next": "À essayer ensuite",
    "nothing": "Rien dans les chiffres ne le dit.",
    "files": "Fichiers modifiés",
    "file": "Fichier",
    "no files": "Aucune modification de fichier n’est connue.",
    "more files": "et {n} autres fichiers",
    "conclusion": "Conclusion",
    "maintained": "maintenu",
    "improved": "amélioré",
    "regressed": "régressé",
    "close": "proche",
    "partly": "{kept}/{of} réussis",
    "missed": "manqué",
    "met": "atteint",
    "quality": "Qualité",
    "latency": "Latence",
    "streaming": "Streaming",
    "humanity": "Humanité",
    "connectivity": "Connectivité",
    "label.llm_total": "Latence E2E",
    "label.tts_ttfb": "TTS TTFB (streaming)",
    "label.first_audio": "Premier son E2E",
    "label.errors": "Tours en échec",
    "label.tests": "Tests",
    "label.websocket": "WebSocket",
    "stat.mean": "moyenne",
    "good.target": "{label} : {figure}, soit {share} de marge sous l’objectif de {limit}.",
    "good.exact": "{label} : {figure}, comme le veut l’objectif de {limit}.",
    "good.better": "{label} passe de {before} à {figure} ({change}).",
    "good.best": "Le meilleur essai parle après {figure} (essai {run}), {share} avant la limite de "
    "{limit}.",
    "good.tests": "Les {total} tests réussissent, {more} de plus qu’au sprint {before}.",
    "good.tests alone": "Les {total} tests réussissent.",
    "good.score": "La note passe de {before} à {total} points.",
    "bad.target": "{label} atteint {figure}, {share} au-delà de l’objectif de {limit}.",
    "bad.under": "{label} atteint {figure}, {share} de moins que l’objectif de {limit}.",
    "bad.zero": "{label} : {figure}, pour un objectif de {limit}.",
    "bad.runs": "{missed} essais sur {of} dépassent {limit} ; le plus lent parle après {figure} "
    "(essai {run}).",
    "bad.worse": "{label} passe de {before} à {figure} ({change}).",
    "bad.tests": "{failed} tests sur {total} échouent.",
    "bad.first": "L’essai {run} prend {figure}, {share} de plus que la médiane des suivants "
    "({median}).",
    "bad.aspect": "{aspect} a la note la plus basse : {points} sur 10.",
    "bad.measure": "{label} n’a pas été mesuré.",
    "next.words": "Commencer par un premier segment de {fewer} au lieu de {words} mots : la voix "
    "met {figure} (médiane) pour lui.",
    "next.warm": "Préchauffer davantage : l’essai {run} est encore {share} plus lent que les "
    "suivants.",
    "next.voice": "Prendre une voix plus petite pour le premier segment : son premier octet met "
    "jusqu’à {figure}, pour un objectif de {limit}.",
    "next.overlap": "Laisser la voix commencer pendant que la réponse s’écrit : la réponse entière "
    "prend {figure} des {whole} jusqu’au premier son ({share}).",
    "next.llm": "Accélérer le modèle de langue : sa réponse prend {figure} des {whole} jusqu’au "
    "premier son ({share}).",
    "box.score": "Note {total}/{possible} ({share})",
    "box.before": "sprint {n} : {total}/{possible} ({share})",
    "box.targets": "Objectifs atteints : {met}/{n}",
    "box.tests": "Tests : {passed}/{total}",
    "box.runs": "Premier son : {kept}/{of} sous {limit} ({share}), meilleur {best} (essai {run})",
}

WORDS: dict[Lang, dict[str, str]] = {"en": EN, "fr": FR}


class Words:
    """The words of one language, filled in."""

    def __init__(self, lang: Lang) -> None:
        self._words = WORDS[lang]

    def __call__(self, key: str, **figures: object) -> str:
        """Return the words of ``key`` with ``figures`` in their places."""
        return self._words[key].format(**figures)

    def label(self, name: str, plain: str) -> str:
        """Return what a figure is called: its metric's name, with the statistic behind it."""
        metric, _, statistic = name.partition(".")
        called = self._words.get(f"label.{metric}", plain)
        if not statistic or metric == "errors":
            return called
        return f"{called} ({self._words.get(f'stat.{statistic}', statistic)})"
