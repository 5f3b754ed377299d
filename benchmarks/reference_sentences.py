"""Sentences with which encoders are compared with their originals, written for this, and the file that keeps them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import file_sha256
from bitextmine.encoders.presets import WheelSource, preset
from bitextmine.encoders.verify import References, ReferenceSentence

SENTENCES = (
    ("ara_Arab", "أين أقرب صيدلية؟"),
    (
        "ara_Arab",
        "أعلنت البلدية أن المكتبة الجديدة ستفتح أبوابها في الخامس عشر من مارس، وستضم أكثر من 40000 كتاب بثلاث لغات.",
    ),
    ("deu_Latn", "Der Zug hat Verspätung."),
    (
        "deu_Latn",
        "Obwohl die Donaudampfschifffahrtsgesellschaft ihren Fahrplan erst im vergangenen Herbst überarbeitet hatte, "
        "mussten die Reisenden am Ostersonntag fast drei Stunden am Anleger warten, weil der Kapitän erkrankt war und "
        "sich in der ganzen Stadt niemand fand, der das alte Schiff mit seinen 312 Sitzplätzen bei Hochwasser sicher "
        "durch die engen Bögen der Steinernen Brücke hätte steuern können oder wollen.",
    ),
    ("deu_Latn", "Im Jahr 1987 zog meine Großmutter mit zwei Koffern nach Bremen."),
    ("eng_Latn", "Good morning everyone!"),
    ("eng_Latn", "The recipe needs 250 g of flour, 3 eggs and a pinch of salt 🥚🍞."),
    (
        "eng_Latn",
        "After the storm had passed over the island, the fishermen walked down to the harbour to see which of their "
        "boats were still afloat, while their children collected driftwood, broken crates and tangled nets along the "
        "beach, and by the time the sun went down there was a fire on the sand, a pot of soup, and somebody playing "
        "an old song about coming home.",
    ),
    ("eng_Latn", "https://example.org/a?b=1 returned 404 twice"),
    ("spa_Latn", "¿Cuánto cuesta la entrada?"),
    (
        "spa_Latn",
        "Los investigadores midieron la temperatura del lago cada mañana durante dos años y descubrieron que el agua "
        "profunda se calienta más despacio que la superficie.",
    ),
    ("fra_Latn", "Elle n'a jamais répondu."),
    (
        "fra_Latn",
        "Le conseil municipal a voté hier soir, par 17 voix contre 12, la fermeture progressive du centre-ville aux "
        "voitures à partir de l'été prochain.",
    ),
    ("ita_Latn", "Il gatto dorme sul divano."),
    (
        "ita_Latn",
        "Quando siamo arrivati al rifugio la nebbia era così fitta che non si vedeva più il sentiero, e abbiamo "
        "deciso di passare la notte lì.",
    ),
    ("jpn_Jpan", "駅はどこですか。"),
    ("jpn_Jpan", "昨日の会議では、来年度の予算を二割減らす案について三時間以上話し合ったが、結論は出なかった。"),
    ("jpn_Jpan", "お誕生日おめでとう🎂🎉"),
    ("kor_Hang", "비가 많이 와요."),
    (
        "kor_Hang",
        "그 작가는 오랫동안 시골에서 농사를 지으며 썼던 일기를 모아 첫 책을 냈고, 그 책은 2019년에 큰 상을 받았다.",
    ),
    ("nld_Latn", "Mag ik de rekening?"),
    (
        "nld_Latn",
        "De fietsenmaker om de hoek repareert al dertig jaar elke lekke band binnen een kwartier, maar sinds zijn "
        "pensioen doet zijn dochter het werk.",
    ),
    ("pol_Latn", "Nie mam dzisiaj czasu."),
    (
        "pol_Latn",
        "W muzeum można zobaczyć ponad 600 map z XVII wieku, które przez wiele lat uważano za zaginione podczas wojny.",
    ),
    ("por_Latn", "Amanhã vai chover."),
    (
        "por_Latn",
        "A escola da aldeia recebeu vinte computadores usados, e os alunos mais velhos ensinam agora os mais novos a "
        "escrever os seus primeiros programas.",
    ),
    ("rus_Cyrl", "Я не знаю."),
    (
        "rus_Cyrl",
        "Учёные предупреждают, что уровень воды в реке может подняться ещё на 80 сантиметров, если дожди не "
        "прекратятся до конца недели.",
    ),
    ("tha_Thai", "ขอบคุณมากครับ"),
    ("tha_Thai", "ตลาดน้ำแห่งนี้เปิดทุกวันเสาร์และอาทิตย์ตั้งแต่เวลา 8 โมงเช้าถึงบ่าย 4 โมง และมีอาหารพื้นเมืองให้เลือกมากมาย"),
    ("tur_Latn", "Kapıyı kapatır mısın?"),
    (
        "tur_Latn",
        "Depremden sonra köye ulaşan ilk ekip, yolun çökmesi yüzünden son beş kilometreyi yürümek zorunda kaldı.",
    ),
    ("zho_Hans", "我们明天见。"),
    ("zho_Hans", "这家工厂去年生产了120万辆自行车，其中三分之二出口到了欧洲和南美洲。"),
    ("zho_Hant", "請問洗手間在哪裡？"),
    ("zho_Hant", "由於颱風逼近，所有渡輪服務將於今晚十時起暫停，市民應留在安全的室內並留意最新的天氣消息。"),
)


def wheel_source(encoder: str, wheel: Path) -> WheelSource:
    """The source of an encoder, whose wheel this is."""
    source = preset(encoder).source
    if not isinstance(source, WheelSource) or file_sha256(wheel) != source.sha256:
        raise SystemExit(f"{wheel} is not the wheel of {encoder}")
    return source


def write_references(
    encoder: str,
    sentences: Sequence[tuple[str, str]],
    vectors: NDArray[np.float32],
    *,
    mean_cosine_bound: float,
    out: Path,
) -> None:
    """Write what the original of an encoder makes of sentences, (sentences, dims) float32, each encoded alone."""
    source = preset(encoder).source
    if not isinstance(source, WheelSource):
        raise SystemExit(f"{encoder} is not from a wheel")
    references = References(
        encoder=encoder,
        source=f"{source.member} in the wheel of {source.requirement}, each sentence alone",
        dims=vectors.shape[1],
        sentences=tuple(ReferenceSentence(language=language, text=text) for language, text in sentences),
        mean_cosine_bound=mean_cosine_bound,
        vectors=base64.b64encode(vectors.astype("<f2").tobytes()).decode(),
    )
    out.write_text(references.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(f"{len(sentences)} sentences, {vectors.shape[1]} dims, {out.stat().st_size} bytes in {out}")
