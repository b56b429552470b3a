"""The tools of the domain travel_itinerary_planning, over its tables of flights and hotels."""

from __future__ import annotations

from typing import Any


class Agency:
    """The functions that look something up."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        self._flights, self._hotels = tables["flights"], tables["hotels"]
        self._places = sorted({flight[key] for flight in self._flights for key in ("from_location", "to_location")})

    def find_flights(self, from_location: str, to_location: str, date: str) -> list[dict[str, Any]]:
        start, end = self._place(from_location), self._place(to_location)
        asked = {"from_location": start, "to_location": end, "date": date}
        return [dict(flight) for flight in self._flights if asked.items() <= flight.items()]

    def book_hotel(self, location: str, *preferences: str) -> list[dict[str, Any]]:
        place, wishes = self._place(location), set(preferences)
        return [
            dict(hotel) for hotel in self._hotels if hotel["location"] == place and wishes <= {*hotel["preferences"]}
        ]

    def _place(self, name: str) -> str:
        """As the tables have it, between double quotes."""
        place = '"' + name.strip('"') + '"'
        if place not in self._places:
            raise ValueError(f"location {place} is not known: there are {', '.join(self._places)}")
        return place


def budget_calculator(flight_price: float, hotel_price_per_night: float, num_nights: int) -> float:
    return flight_price + hotel_price_per_night * num_nights


def maximum(*args: float) -> float:
    return max(args)


def minimum(*args: float) -> float:
    return min(args)


def total(*args: float) -> float:
    return sum(args)
