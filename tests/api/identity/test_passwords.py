"""Passwords: stored so that a stolen table reveals none, and refused if easy to guess."""

import unicodedata
from random import Random

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn.frequency_lists import FREQUENCY_LISTS
from zxcvbn.matching import L33T_TABLE, enumerate_l33t_subs, relevant_l33t_subtable

from solve_api.errors import PasswordRefused
from solve_api.identity.accounts import account_of, change_password, create_admin, rehash
from solve_api.identity.known_words import TEXT_CHARS, KnownWords, without_words
from solve_api.identity.passwords import (
    MAX_CHARS,
    MIN_CHARS,
    SCORED_CHARS,
    hashed,
    is_outdated,
    is_right,
    is_too_long,
    refuse_weak,
    scored,
)
from tests.api.served import PASSWORD
from tests.world import World

SUBSTITUTIONS_MAX = 16
LENGTHS_MAX = 40  # of known words
# six random words with an umlaut, as one keyboard types it and as another does
COMPOSED = unicodedata.normalize("NFC", "müde Laterne zählt Öl vor Quitten")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


async def test_a_hash_is_argon2id_with_the_profile_of_rfc_9106_and_a_salt_of_its_own() -> None:
    first, second = await hashed(PASSWORD), await hashed(PASSWORD)
    found = extract_parameters(first)
    assert found.type is Type.ID
    # section 4, second recommended option: t=3, p=4, m=64 MiB, a salt of 128 and a tag of 256 bits
    assert (found.time_cost, found.parallelism, found.memory_cost) == (3, 4, 64 * 1024)
    assert (found.salt_len, found.hash_len) == (16, 32)
    assert first != second
    assert PASSWORD not in first


async def test_the_right_password_alone_is_right() -> None:
    kept = await hashed(PASSWORD)
    assert await is_right(PASSWORD, kept)
    for wrong in (PASSWORD + " ", PASSWORD[:-1], PASSWORD.upper(), " " + PASSWORD, ""):
        assert not await is_right(wrong, kept), wrong
    assert not await is_right(PASSWORD, None)
    assert not await is_right(PASSWORD, "not a hash")
    assert not await is_right("", None)


async def test_however_an_umlaut_is_typed_it_is_the_same_password() -> None:
    assert COMPOSED != DECOMPOSED
    assert await is_right(DECOMPOSED, await hashed(COMPOSED))
    assert await is_right(COMPOSED, await hashed(DECOMPOSED))


async def test_any_characters_will_do_also_half_of_a_surrogate_pair_and_nul() -> None:
    for odd in ("\ud800 is no character at all", "with \0 in the middle of it", "日本語のとても長い合言葉です"):
        refuse_weak(odd, "ada")
        kept = await hashed(odd)
        assert await is_right(odd, kept)
        assert not await is_right(odd.replace("\0", "").replace("\ud800", "?") + "x", kept)


def test_length_is_counted_in_characters_as_they_are_kept() -> None:
    text = "vor Quitten zählt müde Laterne Öl; " * 10
    for length, fits in ((MIN_CHARS - 1, False), (MIN_CHARS, True), (MAX_CHARS, True), (MAX_CHARS + 1, False)):
        password = unicodedata.normalize("NFD", text[:length])
        if fits:
            refuse_weak(password, "ada")
        else:
            with pytest.raises(PasswordRefused, match=f"this one has {length}"):
                refuse_weak(password, "ada")
        assert is_too_long(password) == (length > MAX_CHARS)


@pytest.mark.parametrize(
    "easy",
    [
        "password1234",
        "passwordpassword",
        "123456789012",
        "qwertyuiop[]",
        "aaaaaaaaaaaaaaaa",
        "iloveyou1234",
        "P@ssw0rd2026!",
        "solve-counts1",
        "solvecountsadmin",
        "grace-of-judges",  # her own name
        "adminadminadmin",
    ],
)
def test_what_is_guessed_first_is_refused(easy: str) -> None:
    with pytest.raises(PasswordRefused, match="too easy to guess"):
        refuse_weak(easy, "grace-of-judges")


@pytest.mark.parametrize(
    "known",
    [
        "solve-counts-admin-leaderboard",
        "SolveCounts Admin, Leaderboard!",
        "s0lve_c0unts_4dm1n_l34derb0ard",
        "$o1ve|c0unt$|@dmin|judge",
        "judge/problems/of.grace.leaderboard",
        "evlos-stnuoc-nimda-draobredael",
        "adminGRACEjudgesleaderboard2026",
        "leaderboard" * 11,
        "sólve-cóunts-ádmin-leaderbóard",
        "board-leader-judges-admins",
        "sloveconuts-adimn",
        "solved-problem-counter",
        "judging.counting.solving.boarding.2026",
        "s0lvd kounts admmin leadrboard jugde",
        "administrators-judgement-of-graces",
        "srevlos-gnitnuoc-nimda-egudj",
        "graec-jugdes-leadre-baord-pr0belm",
        "lleeaaddeerrbbooaarrdd",
        "ssolvee-ccountss-aaddmmiinn",
        "\u0455\u043elv\u0435-\u0441\u043eunts-\u0430dmin-l\u0435\u0430d\u0435r",  # Cyrillic
        "s\u03bflve-c\u03bfunts-\u03b1dmi\u03b7-judg\u03b5",  # Greek
        "\ua731\u1d0f\u029f\u1d20\u1d07 \u1d04\u1d0f\u1d1c\u0274\u1d1b\ua731 \u1d00\u1d05\u1d0d\u026a\u0274",
        "\U0001f182\U0001f17e\U0001f17b\U0001f185\U0001f174-\u023c\u00f8unt-admin-\u0249udge",
        "so\u200blve\u200b-co\u0301unt\u200b-ad\u200bmin",
        "s#o#l#v#e#c#o#u#n#t#s",
    ],
)
def test_what_is_made_of_known_words_alone_is_refused(known: str) -> None:
    with pytest.raises(PasswordRefused, match="too easy to guess"):
        refuse_weak(known, "grace.judges")


@pytest.mark.parametrize("known", ["board-leader-judges-admins", "sloveconuts-adimn", "solved-problem-counter"])
def test_other_forms_of_known_words_are_refused_whoever_asks(known: str) -> None:
    with pytest.raises(PasswordRefused, match="too easy to guess"):
        refuse_weak(known, "eve")


COMMON = [word for word in FREQUENCY_LISTS["english_wikipedia"][:1000:20] if len(word) >= 4]
EATEN = [
    "production",
    "california",
    "association",
    "department",
    "established",
    "experience",
    "q1w2e3r4t5",
    "pprroodduucctt",
]


@pytest.mark.parametrize("known", ["solve-counts-", "admin-judge-", "SolveCountsAdmin"])
def test_one_common_word_beside_known_words_is_refused(known: str) -> None:
    """A form of a known word must not eat a letter of it: what is left would be a word that nobody knows."""
    for common in (*COMMON, *EATEN):
        assert is_refused(known + common, "eve"), known + common
        assert is_refused(f"{common}~{known}", "eve"), f"{common}~{known}"


def is_refused(password: str, name: str) -> bool:
    try:
        refuse_weak(password, name)
    except PasswordRefused:
        return True
    return False


def test_known_words_among_others_do_no_harm() -> None:
    for good in ("correct horse solve battery staple", "admin: xK9-Qm2vTz81-pw", PASSWORD):
        refuse_weak(good, "grace.judges")
    refuse_weak(PASSWORD, "a.b")  # a name of letters that every password has
    refuse_weak("admin: 日本語のとても長い合言葉です", "grace.judges")
    for symbols in ("?.=#_/-_/=?:-", "~;-,_.:?/>.^&", "=:_-/&^*-#~_;"):
        refuse_weak(f"admin{symbols}", "grace.judges")


def test_four_random_words_of_ten_thousand_are_seldom_refused() -> None:
    words = [word for word in FREQUENCY_LISTS["english_wikipedia"][:10_000] if 4 <= len(word) <= 8 and word.isascii()]
    shuffled = Random(13).sample(words, 4 * 300)
    phrases = [" ".join(shuffled[place : place + 4]) for place in range(0, len(shuffled), 4)]
    refused = [phrase for phrase in phrases if is_refused(phrase, "grace.judges")]
    assert len(refused) <= len(phrases) // 50, refused


def test_what_known_words_cost_is_bounded_whatever_the_text_and_the_name_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    has = KnownWords.has

    def counted(self: KnownWords, piece: str) -> bool:
        asked.append(piece)
        return has(self, piece)

    monkeypatch.setattr(KnownWords, "has", counted)
    for text in ("leaderboard" * 11, "a" * MAX_CHARS, "judg" * 32, "x" * MAX_CHARS, "\ufdfa" * MAX_CHARS):
        asked.clear()
        without_words(text, "a" * 32 + "." + "b" * 31)
        assert len(asked) <= TEXT_CHARS * LENGTHS_MAX


@given(st.text(st.sampled_from("4@8({[<3691!|70$5+%2abcegilostxz "), max_size=MAX_CHARS))
def test_zxcvbn_has_little_to_try_whatever_the_password_is(password: str) -> None:
    """Its time is that of one substitution times their number: 3.6 s of the whole process where nothing limits it."""
    text = scored(password)
    assert len(text) <= SCORED_CHARS
    assert len(enumerate_l33t_subs(relevant_l33t_subtable(text, L33T_TABLE))) <= SUBSTITUTIONS_MAX


def test_of_the_most_common_passwords_none_that_is_long_enough_will_do() -> None:
    long_enough = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_CHARS]
    assert len(FREQUENCY_LISTS["passwords"]) > 20_000
    assert long_enough
    for word in long_enough:
        with pytest.raises(PasswordRefused):
            refuse_weak(word, "ada")


def test_the_refusal_tells_no_password_and_says_what_to_do() -> None:
    with pytest.raises(PasswordRefused) as refused:
        refuse_weak("password1234", "ada")
    assert "password1234" not in str(refused.value)
    assert "random words" in str(refused.value)


async def test_a_hash_of_older_parameters_works_is_noticed_and_replaced(world: World) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    assert await is_right(PASSWORD, old)
    assert is_outdated(old)
    assert not is_outdated(await hashed(PASSWORD))
    async with world.database() as database:
        await create_admin(database, "ada", PASSWORD)
        await database.execute("UPDATE admins SET password_hash = $1", old)
        before = await account_of(database, "ada")
        assert before
        await rehash(database, before, await hashed(PASSWORD))
        after = await account_of(database, "ada")
    assert after
    assert not is_outdated(after.password_hash)
    assert await is_right(PASSWORD, after.password_hash)
    # sessions hang on this moment: a better hash of the same password ends none
    assert after.password_changed_at == before.password_changed_at


async def test_a_rehash_does_not_bring_back_a_password_that_was_changed_meanwhile(world: World) -> None:
    other = "another battery of staples"
    async with world.database() as database:
        await create_admin(database, "ada", PASSWORD)
        before = await account_of(database, "ada")
        assert before
        await change_password(database, "ada", other)
        await rehash(database, before, await hashed(PASSWORD))
        after = await account_of(database, "ada")
    assert after
    assert await is_right(other, after.password_hash)
    assert not await is_right(PASSWORD, after.password_hash)
